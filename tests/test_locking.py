"""Locks and connections, where the databases differ."""

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from eda_django.models.locking import abandon_statement, noticing_rollbacks, revive, writing
from tests.databases import vendor
from tests.relaying import cut_connection, in_threads
from tests.testapp.models import Order


def raising(*arguments: Any) -> Any:
    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise OperationalError(*arguments)

    return execute


def swallow(*arguments: Any) -> None:
    """Meet an error of the database, and go on."""
    with connection.execute_wrapper(raising(*arguments)), pytest.raises(OperationalError):
        Order.objects.count()


@pytest.mark.django_db(transaction=True)
def test_transactions_that_read_before_they_write_wait_for_one_another() -> None:
    """SQLite refuses at once a read transaction that turns to writing when another wrote."""
    Order.objects.create(number="0")

    def add() -> None:
        for _ in range(10):
            with writing("default"):
                row = Order.objects.select_for_update().get()
                row.number = str(int(row.number) + 1)
                row.save()

    in_threads(add, add)
    assert Order.objects.get().number == "20"


@pytest.mark.django_db
@pytest.mark.parametrize("code", [1213, 1020, 1206])
def test_swallowed_deadlock_breaks_the_transaction_where_it_has_ended_it(code: int) -> None:
    """G3: InnoDB has rolled everything back, the others only the statement."""
    with transaction.atomic():
        with noticing_rollbacks("default"):
            swallow(code, "Deadlock found when trying to get lock")
        if connection.vendor == "mysql":
            with pytest.raises(TransactionManagementError):
                Order.objects.count()
            transaction.set_rollback(False)
        assert Order.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", [(1205, "Lock wait timeout exceeded"), ()])
def test_other_errors_may_be_swallowed(arguments: tuple[Any, ...]) -> None:
    """MariaDB answers NOWAIT with 1205, and by default the transaction goes on."""
    with transaction.atomic(), noticing_rollbacks("default"):
        swallow(*arguments)
        assert Order.objects.count() == 0


@pytest.mark.skipif(vendor() != "mariadb", reason="Only InnoDB has such a variable.")
@pytest.mark.django_db(transaction=True)
def test_swallowed_timeout_of_a_lock_breaks_the_transaction_if_the_server_can_not_be_asked() -> (
    None
):
    """G3: whether it has rolled everything back is a variable of the server."""
    with transaction.atomic(), noticing_rollbacks("default"):
        cut_connection()
        swallow(1205, "Lock wait timeout exceeded")
        with pytest.raises(TransactionManagementError):
            Order.objects.count()


@pytest.mark.django_db(transaction=True)
def test_statement_left_in_the_middle_is_ended_on_the_server() -> None:
    if connection.vendor != "postgresql":
        # Nothing to end: SQLite has no server, MariaDB's client waits for its answer.
        abandon_statement("default")
        assert Order.objects.count() == 0
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    raw: Any = connection.connection
    raw.pgconn.send_query(b"SELECT pg_sleep(60)")
    abandon_statement("default")
    while raw.pgconn.get_result():
        pass

    def is_active() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid])
            return bool(cursor.fetchone()[0] == "active")

    (active,) = in_threads(is_active)
    assert not active


@pytest.mark.django_db(transaction=True)
def test_statement_that_is_through_is_not_ended() -> None:
    with transaction.atomic():
        Order.objects.create(number="1")
        abandon_statement("default")
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_dead_connection_is_dropped_and_a_living_one_kept() -> None:
    Order.objects.count()
    before = connection.connection
    revive("default")
    assert connection.connection is before
    cut_connection()
    revive("default")
    assert connection.connection is None or connection.vendor == "sqlite"
    revive("default")
    assert Order.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_connection_that_was_left_in_a_transaction_is_dropped() -> None:
    transaction.set_autocommit(False)
    Order.objects.create(number="never committed")
    revive("default")
    assert connection.get_autocommit()
    assert Order.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_connection_inside_a_transaction_is_left_alone() -> None:
    with transaction.atomic():
        before = connection.connection
        revive("default")
        assert connection.connection is before
