"""How much a database reads for what it is asked, counted by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

# Of tables what is read from end to end; of indexes every entry that is looked at.
_POSTGRESQL = """
SELECT SUM(pg_stat_get_xact_tuples_returned(c.oid)) FROM pg_class c
 WHERE c.relkind IN ('r', 'i') AND c.relname LIKE 'eda\\_%%'
"""
# SQLite counts the steps of its programs. Each entry that is passed takes several.
STEPS = 4


def entries_read(work: Callable[[], Any]) -> int:
    """Return about how many rows and entries of indexes of this library were read for `work`.

    In a transaction of its own.
    """
    with transaction.atomic(), _COUNTERS[connection.vendor]() as count:
        work()
        return count()


@contextmanager
def _on_postgresql() -> Iterator[Callable[[], int]]:
    before = _ask(_POSTGRESQL)
    yield lambda: _ask(_POSTGRESQL) - before


@contextmanager
def _on_mysql() -> Iterator[Callable[[], int]]:
    # Not FLUSH STATUS: it would commit what the test has begun.
    before = _handler_reads()
    yield lambda: _handler_reads() - before


def _handler_reads() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())


@contextmanager
def _on_sqlite() -> Iterator[Callable[[], int]]:
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, STEPS)
    try:
        yield lambda: counted
    finally:
        connection.connection.set_progress_handler(None, 0)


def _ask(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("%%", "%"))
        return int(cursor.fetchone()[0])


_COUNTERS = {"postgresql": _on_postgresql, "mysql": _on_mysql, "sqlite": _on_sqlite}
