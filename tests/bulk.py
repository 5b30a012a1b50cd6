"""Tables full of rows, made where they lie: one by one they would take minutes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.color import no_style
from django.db import connection
from pytest_django import DjangoDbBlocker

from eda_django.models import Delivery, OutboxEvent

# The numbers from 1 on, as a table with the one column n.
NUMBERS = {
    "postgresql": "SELECT generate_series(1, {count}) AS n",
    "mysql": "SELECT seq AS n FROM seq_1_to_{count}",
    "sqlite": (
        "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT {count})"
        " SELECT n FROM g"
    ),
}
# The database's time in so many seconds, an expression of n.
IN_SECONDS = {
    "postgresql": "now() + ({seconds}) * INTERVAL '1 second'",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL ({seconds}) SECOND",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f000', 'now', ({seconds}) || ' seconds')",
}
# In one insertion every call of these has another answer.
UUIDS = {
    "postgresql": "gen_random_uuid()",
    "mysql": "UUID()",
    "sqlite": "LOWER(HEX(RANDOMBLOB(16)))",
}


def fill_events(count: int, *, first: int = 1, **columns: str) -> None:
    """Insert so many events, of ids from `first` on. `columns` has expressions of n, from 1 on."""
    given = {
        "event_id": some_uuid(),
        "type": "'t.bulk'",
        "version": "1",
        "source": "'s'",
        "key": "''",
        "data": "'{}'",
        "headers": "'{}'",
        "correlation_id": "'c'",
        "time": in_seconds("0"),
        "error": "''",
    }
    _fill(OutboxEvent._meta.db_table, count, {"id": f"n + {first - 1}", **given, **columns})


def fill_deliveries(count: int, *, first: int = 1, **columns: str) -> None:
    """Insert a delivery for each of so many events; the same numbers."""
    given = {
        "event_id": f"n + {first - 1}",
        "subscriber": "'t.sub'",
        "queue": "'q'",
        "key": "''",
        "attempts": "0",
        "isolated": "false" if connection.vendor == "postgresql" else "0",
        "error_class": "''",
        "error_text": "''",
        "fingerprint": "''",
    }
    _fill(Delivery._meta.db_table, count, {"id": f"n + {first - 1}", **given, **columns})


def in_seconds(expression: str) -> str:
    """Return the SQL of the database's time in so many seconds."""
    return IN_SECONDS[connection.vendor].format(seconds=expression)


def some_uuid() -> str:
    """Return the SQL of a UUID of its own for each row."""
    sql = UUIDS[connection.vendor]
    # Where the database has no type for UUIDs, Django stores 32 characters.
    is_text = connection.vendor == "mysql" and not connection.features.has_native_uuid_field
    return f"REPLACE({sql}, '-', '')" if is_text else sql


def settle() -> None:
    """Have new rows come after these, and the planner know how much there is.

    What other tests have deleted is cleared away.
    """
    verb = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}.get(
        connection.vendor, "ANALYZE"
    )
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_sql(no_style(), [OutboxEvent, Delivery]):
            cursor.execute(sql)
        for model in (OutboxEvent, Delivery):
            cursor.execute(f"{verb} {model._meta.db_table}")
            if connection.vendor == "mysql":
                cursor.fetchall()


@contextmanager
def committed(fill: Callable[[], None], blocker: DjangoDbBlocker) -> Iterator[None]:
    """Fill the tables for many tests, which roll back what they change; empty them afterwards."""
    with blocker.unblock():
        try:
            fill()
            yield
        finally:
            for model in (Delivery, OutboxEvent):
                model.objects.all()._raw_delete("default")


def _fill(table: str, count: int, columns: dict[str, str]) -> None:
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    numbers = NUMBERS[connection.vendor].format(count=count)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {', '.join(columns.values())} FROM ({numbers}) x"
        )
