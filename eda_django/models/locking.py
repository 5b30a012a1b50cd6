"""Row locks, where the database has them, and the one write lock where it has not."""

from collections.abc import Callable, Container, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet

# InnoDB's errors that end the whole transaction: a deadlock, MariaDB's "record has changed", and a
# lock table that is full.
ENDS_TRANSACTION = (1213, 1020, 1206)
# The one that does so only where the server is told to: a lock that was waited for in vain.
LOCK_TIMEOUT = 1205
# libpq's PQTRANS_IDLE and PQTRANS_ACTIVE: no transaction is open; a statement is under way.
IDLE, ACTIVE = 0, 1


@contextmanager
def writing(using: str) -> Iterator[None]:
    """Open a transaction that is going to write.

    SQLite refuses, at once and without waiting, to turn a transaction that has read into one
    that writes if anybody wrote in between. A first statement that writes waits its turn.
    """
    with transaction.atomic(using=using):
        if connections[using].vendor == "sqlite":
            with connections[using].cursor() as cursor:
                cursor.execute("UPDATE eda_django_relayheartbeat SET id = id WHERE id < 0")
        yield


def skip_locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock the rows that nobody else holds, and leave the others out."""
    features = connections[rows.db].features
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)


def skip_locked_clause(using: str) -> str:
    """Return how a statement that is written out ends to do what skip_locked() does."""
    features = connections[using].features
    if not features.has_select_for_update:
        return ""
    return " FOR UPDATE" + " SKIP LOCKED" * features.has_select_for_update_skip_locked


@contextmanager
def noticing_rollbacks(using: str) -> Iterator[None]:
    """Fail the transaction if the body swallows an error by which the database has ended it.

    InnoDB and SQLite answer some errors by rolling back the whole transaction, not the statement,
    and Django does not know: what comes after would be committed without what came before.
    """
    connection = connections[using]
    if connection.vendor not in ("mysql", "sqlite"):
        # PostgreSQL takes no statement after an error, whatever that was.
        yield
        return
    with connection.execute_wrapper(_watch):
        yield


def _watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    connection = context["connection"]
    try:
        return execute(sql, params, many, context)
    except DatabaseError as error:
        if not connection.needs_rollback and _has_ended_transaction(connection, error):
            connection.needs_rollback = True
        raise


def _has_ended_transaction(connection: Any, error: DatabaseError) -> bool:
    if connection.vendor == "sqlite":
        return _is_out_of_transaction(connection)
    code = error.args[0] if error.args else None
    return code in ENDS_TRANSACTION or (code == LOCK_TIMEOUT and _rolls_back_on_timeout(connection))


def _is_out_of_transaction(connection: Any) -> bool:
    """Return whether SQLite's driver is in no transaction any more; that costs no statement."""
    return connection.vendor == "sqlite" and not connection.connection.in_transaction


def _rolls_back_on_timeout(connection: Any) -> bool:
    """Ask the server, by the driver alone: what watches Django's statements would meet this one."""
    try:
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("SELECT @@innodb_rollback_on_timeout")
            return bool(cursor.fetchone()[0])
    except connection.Database.Error:
        # What can't be asked may have been rolled back.
        return True


def abandon_statement(using: str) -> None:
    """Have PostgreSQL end a statement that an exception left in the middle.

    Otherwise the server goes on with it, holding the transaction's locks, after the client is gone.
    """
    connection = connections[using]
    raw = connection.connection
    if connection.vendor == "postgresql" and raw and raw.info.transaction_status == ACTIVE:
        with suppress(Exception):
            raw.cancel()


def databases_inside() -> frozenset[str]:
    """Return the databases on which a transaction is under way here: a test's, for example."""
    opened = connections.all(initialized_only=True)
    return frozenset(connection.alias for connection in opened if connection.in_atomic_block)


def untangle(inside: Container[str]) -> None:
    """Give up connections that an exception has left in a transaction which nobody would end.

    An alarm comes anywhere, also between a BEGIN and Django's note of it. All that follows would
    be part of that transaction, and lost with it. `inside` has the databases to be left alone.
    """
    for connection in connections.all(initialized_only=True):
        is_left = connection.in_atomic_block or _is_left_open(connection)
        if is_left and connection.alias not in inside:
            # Without these close() waits for the end of the block. connect() sets all else anew.
            connection.in_atomic_block = connection.closed_in_transaction = False
            connection.close()


def _is_left_open(connection: Any) -> bool:
    """Return whether the driver is in a transaction that Django knows nothing of."""
    raw = connection.connection
    if raw is None or not connection.settings_dict["AUTOCOMMIT"]:
        return False
    try:
        if connection.vendor == "sqlite":
            return bool(raw.in_transaction)
        if connection.vendor == "postgresql":
            return not raw.autocommit or raw.info.transaction_status != IDLE
        return not raw.get_autocommit()
    except Exception:
        # What does not even answer that is no loss.
        return True


def revive(using: str, *, is_asked: bool = True) -> None:
    """Drop a connection that is dead or was left in a transaction, before anything depends on it.

    Not one that is only older than CONN_MAX_AGE, which is for requests: by default every chunk
    would open a connection. Whether it is dead, it is asked: a round trip.
    """
    connection = connections[using]
    if connection.in_atomic_block or connection.connection is None:
        return
    is_clean = connection.get_autocommit() == connection.settings_dict["AUTOCOMMIT"]
    if not (is_clean and (not is_asked or connection.is_usable())):
        connection.close()
