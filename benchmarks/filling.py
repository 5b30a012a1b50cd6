"""Filling the tables, and emptying them, without going through the library."""

import json
import os

from django.db import connection
from redis import Redis

from benchmarks.business.sales import as_dict

DIGITS = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
NUMBERS = (
    "SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + 100000*g.d AS n FROM "
    + " CROSS JOIN ".join(f"({DIGITS}) {name}" for name in "abcefg")
)
# Like UUIDv7: later ones are greater, so that the index grows at its end, as in real life.
UUIDS = {
    "postgresql": "(LPAD(TO_HEX(n), 12, '0') || '7' || SUBSTR(MD5(RANDOM()::text), 1, 19))::uuid",
    "mysql": "CONCAT(LPAD(HEX(n), 12, '0'), '7', SUBSTR(MD5(RAND()), 1, 19))",
    "sqlite": "PRINTF('%012x', n) || '7' || SUBSTR(LOWER(HEX(RANDOMBLOB(10))), 1, 19)",
}
NOWS = {
    "postgresql": "NOW()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f000', 'now')",
}
LATER = {
    "postgresql": "NOW() + INTERVAL '1 day'",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL 1 DAY",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f000', 'now', '+1 day')",
}
WORTH_A_CHECKPOINT = 1_000
TABLES = (
    "eda_django_attempt",
    "eda_django_delivery",
    "eda_django_outboxevent",
    "bench_effect",
    "bench_sale",
    "bench_limit_delivery",
    "bench_limit_outbox",
)


def redis() -> "Redis":
    return Redis.from_url(os.environ["BENCH_REDIS_URL"])


def empty() -> None:
    """Empty every table, and Redis but for what other packages have in it."""
    with redis() as client:
        client.flushdb()
    if connection.vendor == "postgresql":
        execute(f"TRUNCATE {', '.join(TABLES)}")
        return
    for table in TABLES:
        execute(f"DELETE FROM {table}")


def fill_outbox(
    count: int, *, relayed: bool = False, scheduled: bool = False, base: int = 0
) -> None:
    """Add `count` events: fresh ones, or relayed ones, or some that wait for tomorrow."""
    vendor = connection.vendor
    quoted = connection.ops.quote_name("key")
    for start in range(0, count, 1_000_000):
        execute(
            f"INSERT INTO eda_django_outboxevent (event_id, type, version, source, {quoted}, data,"
            f" headers, correlation_id, time, available_at, relayed_at, error) "
            f"SELECT {UUIDS[vendor]}, 'bench.sale_made', 1, 'bench', '', {literal()}, '{{}}',"
            f" {_text(UUIDS[vendor])}, {NOWS[vendor]}, {LATER[vendor] if scheduled else 'NULL'},"
            f" {NOWS[vendor] if relayed else 'NULL'}, '' "
            f"FROM (SELECT n + {base + start} AS n FROM ({NUMBERS}) m WHERE n < {count - start}) k "
            f"ORDER BY n"
        )


def fill_deliveries(status: str) -> None:
    """Give every event that is relayed already a delivery in this state."""
    quoted = connection.ops.quote_name("key")
    ended = NOWS[connection.vendor] if status == "succeeded" else "NULL"
    execute(
        f"INSERT INTO eda_django_delivery (event_id, subscriber, queue, {quoted}, status, attempts,"
        f" started_at, finished_at, isolated, error_class, error_text, fingerprint) "
        f"SELECT id, 'bench.note', 'default', 'k', '{status}', {int(status == 'succeeded')},"
        f" {ended}, {ended}, {false()}, '', '', '' "
        f"FROM eda_django_outboxevent WHERE relayed_at IS NOT NULL"
    )


def fill_limit_outbox(count: int) -> None:
    vendor = connection.vendor
    execute(
        f"INSERT INTO bench_limit_outbox (event_id, type, data, time) "
        f"SELECT {UUIDS[vendor]}, 'bench.sale_made', {literal()}, {NOWS[vendor]} "
        f"FROM ({NUMBERS}) m WHERE n < {count} ORDER BY n"
    )


def settle(count: int) -> None:
    """Have the database do now, after so many rows, what it would do in between.

    Statistics, and old versions. And a checkpoint, which befalls all databases of the server, so
    that a few rows are no reason for it.
    """
    if connection.vendor == "postgresql":
        for table in TABLES:
            execute(f"VACUUM ANALYZE {table}")
        if count >= WORTH_A_CHECKPOINT:
            execute("CHECKPOINT")
    elif connection.vendor == "mysql":
        execute(f"ANALYZE TABLE {', '.join(TABLES)}")
    else:
        execute("ANALYZE")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def literal() -> str:
    return "'" + json.dumps(as_dict(7)) + "'"


def _text(expression: str) -> str:
    return f"({expression})::text" if connection.vendor == "postgresql" else expression


def false() -> str:
    return "FALSE" if connection.vendor == "postgresql" else "0"
