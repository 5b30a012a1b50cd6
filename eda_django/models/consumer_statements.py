"""The statements that start a chunk and that every delivery costs, written out.

Raw, because Django's compiler took twice as long over them as the database, once for each delivery.
"""

from uuid import UUID

from django.db import connections

from .clock import AFTER_SQL, NOW_SQL

_START = """
UPDATE eda_django_delivery SET
  status = 'running', attempts = attempts + 1, started_at = {now}, lease_until = {after}
WHERE id = %s AND token = %s AND status = 'queued'
"""
_LOCK = """
SELECT 1 FROM eda_django_delivery WHERE id = %s AND token = %s AND status = 'running'
"""
# Only the primary key in the conditions: MySQL assigns from left to right, and would read the new
# status in the second assignment. The keys stand apart from the OR, and the index is named there:
# InnoDB locks what it reads by any other, also another worker's row, and waits for that.
_SUCCEED = """
UPDATE eda_django_delivery{index} SET
  status = CASE WHEN id = %s THEN 'succeeded' ELSE 'running' END,
  attempts = CASE WHEN id = %s THEN attempts ELSE attempts + 1 END,
  started_at = CASE WHEN id = %s THEN started_at ELSE {now} END,
  finished_at = CASE WHEN id = %s THEN {now} ELSE finished_at END,
  lease_until = CASE WHEN id = %s THEN NULL ELSE {after} END
WHERE id IN (%s, %s) AND token = %s
  AND (id = %s AND status = 'running' OR id = %s AND status = 'queued')
"""
_STARTS = {
    vendor: _START.strip().format(now=now, after=AFTER_SQL[vendor])
    for vendor, now in NOW_SQL.items()
}
_LOCKS = {
    vendor: _LOCK.strip() + ("" if vendor == "sqlite" else "\nFOR UPDATE") for vendor in NOW_SQL
}
_SUCCEEDS = {
    vendor: _SUCCEED.strip().format(
        now=now,
        after=AFTER_SQL[vendor],
        index=" FORCE INDEX (PRIMARY)" if vendor == "mysql" else "",
    )
    for vendor, now in NOW_SQL.items()
}


def start(using: str, pk: int, *, token: UUID, lease: float) -> bool:
    """Count an attempt of a queued delivery and mark it as running; False if it isn't ours."""
    connection = connections[using]
    sql = _STARTS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(sql, [lease, pk, token.hex])
        return bool(cursor.rowcount)


def lock_running(using: str, pk: int, *, token: UUID) -> bool:
    """Lock a running delivery for as long as the transaction lasts; False if it isn't ours."""
    connection = connections[using]
    sql = _LOCKS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(sql, [pk, token.hex])
        return cursor.fetchone() is not None


def succeed(using: str, pk: int, *, token: UUID, then: int | None, lease: float) -> int:
    """End a running delivery well, and start `then`, which is queued; return the rows changed."""
    connection = connections[using]
    sql = _SUCCEEDS[connection.vendor]
    # No row has the id 0.
    following = then or 0
    params: list[int | float | str] = [
        pk,
        pk,
        pk,
        pk,
        pk,
        lease,
        pk,
        following,
        token.hex,
        pk,
        following,
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)
