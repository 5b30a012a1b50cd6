"""Claiming what is due, for all chunks of a batch with one statement."""

import json
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from django.db import connections

from ..conf import MAX_BATCH
from .clock import AFTER_SQL

# By the primary key on every database. InnoDB locks, and waits for, whatever is read by another
# index. The planners of the others may prefer to read the whole table, or all that is pending: so
# PostgreSQL is not told how many rows there are, and in neither's condition the state is a column.
_POSTGRESQL = """
UPDATE eda_django_delivery d SET
  status = 'queued', token = c.t, queue = c.q, due_at = NULL, lease_until = {after}
FROM unnest((SELECT %s::bigint[]), (SELECT %s::uuid[]), (SELECT %s::text[])) AS c(pk, t, q)
WHERE d.id = c.pk AND d.status || '' = 'pending'
"""
# With a charset: MariaDB would take the database's own, which may lack letters that the table has.
_MYSQL = """
UPDATE JSON_TABLE(%s, '$[*]' COLUMNS (
         pk BIGINT PATH '$[0]', t CHAR(32) PATH '$[1]',
         q TEXT CHARACTER SET utf8mb4 PATH '$[2]'
       )) AS c
       STRAIGHT_JOIN eda_django_delivery d FORCE INDEX (PRIMARY) ON d.id = c.pk
SET d.status = 'queued', d.token = c.t, d.queue = c.q, d.due_at = NULL, d.lease_until = {after}
WHERE d.status = 'pending'
"""
_SQLITE = """
UPDATE eda_django_delivery SET
  status = 'queued', token = json_extract(%s, '$."' || id || '"[0]'),
  queue = json_extract(%s, '$."' || id || '"[1]'), due_at = NULL, lease_until = {after}
WHERE id IN (SELECT value FROM json_each(%s)) AND +status = 'pending'
"""
# Rows of one statement there: it looks for each of them from the beginning. It is no round trip.
SQLITE_ROWS = 500
_CLAIMS = {
    vendor: sql.strip().format(after=AFTER_SQL[vendor])
    for vendor, sql in (("postgresql", _POSTGRESQL), ("mysql", _MYSQL), ("sqlite", _SQLITE))
}


class Due(Protocol):
    """A pending delivery that is locked."""

    @property
    def pk(self) -> int: ...
    @property
    def queue(self) -> str: ...


def claim(using: str, parts: Sequence[tuple[UUID, Sequence[Due]]], *, lease: float) -> None:
    """Queue pending deliveries, each part under its token and in the queue that its rows name."""
    rows = [(row.pk, token.hex, row.queue) for token, part in parts for row in part]
    vendor = connections[using].vendor
    sql, most = _CLAIMS[vendor], SQLITE_ROWS if vendor == "sqlite" else MAX_BATCH
    with connections[using].cursor() as cursor:
        for start in range(0, len(rows), most):
            cursor.execute(sql, _params(vendor, rows[start : start + most], lease))


def _params(vendor: str, rows: Sequence[tuple[int, str, str]], lease: float) -> list[Any]:
    if vendor == "postgresql":
        return [lease, *map(list, zip(*rows, strict=True))]
    if vendor == "mysql":
        return [json.dumps(rows), lease]
    # By the number of the row.
    claims = json.dumps({pk: claim for pk, *claim in rows})
    return [claims, claims, lease, json.dumps([pk for pk, *_ in rows])]
