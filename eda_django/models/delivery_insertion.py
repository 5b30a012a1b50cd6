"""Inserting the deliveries of a batch, with one statement.

Raw, because Django's compiler takes longer over a row than the database does: nine tenths of a
batch of 500. Many rows travel as one JSON text, because a driver takes long over parameters. Of a
few, in quiet traffic, the database is sooner through with VALUES.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import connections

from .clock import AFTER_SQL
from .status import Status


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


_COLUMNS = """
  (event_id, subscriber, queue, {key}, status, token, lease_until, due_at, attempts, isolated,
   error_class, error_text, fingerprint)"""
_POSTGRESQL = """
SELECT (e.v->>0)::bigint, c.s, c.q, e.v->>1, {state}, c.t, {lease}, {due}, 0, FALSE, '', '', ''
FROM json_to_recordset(%s::json) AS c(s text, q text, t uuid, e json)
     CROSS JOIN LATERAL json_array_elements(c.e) AS e(v)
"""
# With charsets: MariaDB would take the database's own, which may lack letters that the table has.
_MYSQL = """
SELECT c.event_id, c.s, c.q, c.k, {state}, c.t, {lease}, {due}, 0, FALSE, '', '', ''
FROM JSON_TABLE(%s, '$[*]' COLUMNS (
       s TEXT CHARACTER SET utf8mb4 PATH '$.s', q TEXT CHARACTER SET utf8mb4 PATH '$.q',
       t CHAR(32) PATH '$.t', NESTED PATH '$.e[*]' COLUMNS (
         event_id BIGINT PATH '$[0]', k TEXT CHARACTER SET utf8mb4 PATH '$[1]')
     )) AS c
"""
_SQLITE = """
SELECT json_extract(e.value, '$[0]'), json_extract(c.value, '$.s'), json_extract(c.value, '$.q'),
       json_extract(e.value, '$[1]'), {state}, json_extract(c.value, '$.t'), {lease}, {due},
       0, FALSE, '', '', ''
FROM json_each(%s) AS c, json_each(c.value, '$.e') AS e
"""
_MANY = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE}
_ONE = "(%s, %s, %s, %s, {state}, %s, {lease}, {due}, 0, FALSE, '', '', '')"
_RETURNING = "\nRETURNING id, token"
# Rows up to which VALUES is quicker: measured on PostgreSQL, by a quarter with one, by nothing
# with more than these.
FEW = 5
# Rows that share one item of the JSON: SQLite reads the item anew for each of them.
TOGETHER = 50

# The rows of one subscription in one queue, under one claim or none.
Part = tuple[UUID | None, Sequence[Row]]


def insert_queued(
    using: str, parts: Sequence[Part], *, lease: float
) -> list[tuple[int, Any]] | None:
    """Insert deliveries as already claimed, each part of one subscription under its token.

    Returns the new ids with their tokens as the driver has them; None if the database is one that
    does not tell them: MySQL, not MariaDB.
    """
    connection = connections[using]
    sql, params = _statement(connection, parts, lease, status=Status.QUEUED)
    returns = connection.features.can_return_rows_from_bulk_insert
    if returns:
        sql += _RETURNING
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall()) if returns else None


def insert_pending(using: str, rows: Iterable[Row], *, seconds: float) -> None:
    """Insert deliveries that are to be claimed in so many seconds."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.subscriber, row.queue].append(row)
    if groups:
        connection = connections[using]
        parts = [(None, group) for group in groups.values()]
        sql, params = _statement(connection, parts, seconds, status=Status.PENDING)
        with connection.cursor() as cursor:
            cursor.execute(sql, params)


def _statement(
    connection: Any, parts: Sequence[Part], seconds: float, *, status: Status
) -> tuple[str, list[Any]]:
    """Return the INSERT and its parameters: `seconds` of a lease, or until it is due."""
    after = AFTER_SQL[connection.vendor]
    is_queued = status == Status.QUEUED
    state = {
        "state": f"'{status.value}'",
        "lease": after if is_queued else "NULL",
        "due": "NULL" if is_queued else after,
    }
    columns = _COLUMNS.format(key=connection.ops.quote_name("key"))
    few = [(token, row) for token, rows in parts for row in rows[: FEW + 1]]
    params: list[Any]
    if len(few) <= FEW:
        rows = "VALUES " + ", ".join([_ONE.format(**state)] * len(few))
        params = [value for token, row in few for value in _values(token, row, seconds)]
    else:
        rows = _MANY[connection.vendor].strip().format(**state)
        params = [seconds, json.dumps(list(_plain(parts)))]
    return f"INSERT INTO eda_django_delivery{columns}\n{rows}", params


def _values(token: UUID | None, row: Row, seconds: float) -> tuple[int | float | str | None, ...]:
    return row.event_id, row.subscriber, row.queue, row.key, token.hex if token else None, seconds


def _plain(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """Yield what is the same for some rows, with what is not."""
    for token, rows in parts:
        for start in range(0, len(rows), TOGETHER):
            yield {
                "s": rows[0].subscriber,
                "q": rows[0].queue,
                "t": token.hex if token else None,
                "e": [(row.event_id, row.key) for row in rows[start : start + TOGETHER]],
            }
