"""Sessions that give up at once where they would wait for a lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections

from tests.databases import vendor

# PostgreSQL waits by rows at any level; the others tell it when two have met.
LEVELS = ["READ COMMITTED"] + ["REPEATABLE READ"] * (vendor() == "mariadb")


@contextmanager
def impatient(level: str) -> Iterator[None]:
    """Have this thread's session be one, at this isolation level on MariaDB; closed at the end."""
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "mysql":
                cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
                cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            else:
                cursor.execute("SET SESSION lock_timeout = '1s'")
        yield
    finally:
        connections.close_all()
