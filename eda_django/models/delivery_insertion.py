"""Inserting the deliveries of a batch, with one statement.

Raw, because Django's compiler takes longer over a row than the database does: nine tenths of a
batch of 500. Many rows travel as one JSON text, because a driver takes long over parameters. Of a
few, in quiet traffic, the database is sooner through with VALUES.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import connections

from .clock import AFTER_SQL


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """What has to be known of a delivery before it is one."""

    event_id: int
    subscriber: str
    queue: str
    key: str = ""
    isolated: bool = False


class Row(Protocol):
    """A NewDelivery, or a Delivery that isn't saved."""

    @property
    def event_id(self) -> int: ...
    @property
    def subscriber(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def isolated(self) -> bool: ...


_POSTGRESQL = """
INSERT INTO eda_django_delivery
  (event_id, subscriber, queue, key, status, attempts, token, lease_until, isolated,
   error_class, error_text, fingerprint)
SELECT (e.v->>0)::bigint, c.s, c.q, e.v->>1, 'queued', 0, c.t,
       {after}, FALSE, '', '', ''
FROM json_to_recordset(%s::json) AS c(s text, q text, t uuid, e json)
     CROSS JOIN LATERAL json_array_elements(c.e) AS e(v)
"""
_MYSQL = """
INSERT INTO eda_django_delivery
  (event_id, subscriber, queue, `key`, status, attempts, token, lease_until, isolated,
   error_class, error_text, fingerprint)
SELECT c.event_id, c.s, c.q, c.k, 'queued', 0, c.t,
       {after}, 0, '', '', ''
FROM JSON_TABLE(%s, '$[*]' COLUMNS (
       s TEXT PATH '$.s', q TEXT PATH '$.q', t CHAR(32) PATH '$.t',
       NESTED PATH '$.e[*]' COLUMNS (event_id BIGINT PATH '$[0]', k TEXT PATH '$[1]')
     )) AS c
"""
_SQLITE = """
INSERT INTO eda_django_delivery
  (event_id, subscriber, queue, key, status, attempts, token, lease_until, isolated,
   error_class, error_text, fingerprint)
SELECT json_extract(e.value, '$[0]'), json_extract(c.value, '$.s'), json_extract(c.value, '$.q'),
       json_extract(e.value, '$[1]'), 'queued', 0, json_extract(c.value, '$.t'),
       {after}, 0, '', '', ''
FROM json_each(%s) AS c, json_each(c.value, '$.e') AS e
"""
_INSERT = {
    vendor: sql.strip().format(after=AFTER_SQL[vendor])
    for vendor, sql in (("postgresql", _POSTGRESQL), ("mysql", _MYSQL), ("sqlite", _SQLITE))
}
_INSERT_FEW = """INSERT INTO eda_django_delivery
  (event_id, subscriber, queue, {key}, status, attempts, token, lease_until, isolated,
   error_class, error_text, fingerprint)
VALUES {rows}"""
_DELIVERIES = {
    vendor: f"(%s, %s, %s, %s, 'queued', 0, %s, {after}, FALSE, '', '', '')"
    for vendor, after in AFTER_SQL.items()
}
_RETURNING = "\nRETURNING id, token"
# Rows up to which VALUES is quicker: measured on PostgreSQL, by a quarter with one, by nothing
# with more than these.
FEW = 5

Part = tuple[UUID, Sequence[Row]]


def insert_queued(
    using: str, parts: Sequence[Part], *, lease: float
) -> list[tuple[int, Any]] | None:
    """Insert deliveries as already claimed, each part of one subscription under its token.

    Returns the new ids with their tokens as the driver has them; None if the database is one that
    does not tell them: MySQL, not MariaDB.
    """
    connection = connections[using]
    returns = connection.features.can_return_rows_from_bulk_insert
    few = [(token, row) for token, rows in parts for row in rows[: FEW + 1]]
    params: list[Any]
    if len(few) <= FEW:
        rows = ", ".join([_DELIVERIES[connection.vendor]] * len(few))
        sql = _INSERT_FEW.format(key=connection.ops.quote_name("key"), rows=rows)
        params = [value for token, row in few for value in _values(token, row, lease)]
    else:
        sql = _INSERT[connection.vendor]
        params = [lease, json.dumps([_plain(*part) for part in parts])]
    if returns:
        sql += _RETURNING
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall()) if returns else None


def _values(token: UUID, row: Row, lease: float) -> tuple[int | float | str, ...]:
    return row.event_id, row.subscriber, row.queue, row.key, token.hex, lease


def _plain(token: UUID, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "s": rows[0].subscriber,
        "q": rows[0].queue,
        "t": token.hex,
        "e": [(row.event_id, row.key) for row in rows],
    }
