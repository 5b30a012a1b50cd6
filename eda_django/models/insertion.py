"""Inserting events, and the deliveries of a batch, with one statement each.

Raw, because Django's compiler takes longer over a row than the database does: nine tenths of a
batch of 500. The rows travel as one JSON text, so that the statement is the same for any number.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import connections

from ..payloads.trees import dumps
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
_RETURNING = "\nRETURNING id, token"

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
    sql = _INSERT[connection.vendor] + (_RETURNING if returns else "")
    with connection.cursor() as cursor:
        cursor.execute(sql, [lease, json.dumps([_plain(*part) for part in parts])])
        return list(cursor.fetchall()) if returns else None


def _plain(token: UUID, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "s": rows[0].subscriber,
        "q": rows[0].queue,
        "t": token.hex,
        "e": [(row.event_id, row.key) for row in rows],
    }


class EventRow(Protocol):
    """An OutboxEvent that isn't saved, and has no idempotency key."""

    event_id: UUID
    type: str
    version: int
    source: str
    key: str
    data: Any
    headers: Any
    correlation_id: str
    causation_id: UUID | None
    time: datetime


def insert_events(using: str, rows: Iterable[EventRow]) -> None:
    """Insert events; on PostgreSQL only."""
    with connections[using].cursor() as cursor:
        # Not jsonb, which holds no more than 256 MiB at once.
        cursor.execute(
            """INSERT INTO eda_django_outboxevent
              (event_id, type, version, source, key, data, headers, correlation_id, causation_id,
               time, error)
            SELECT e.event_id, e.type, e.version, e.source, e.key, e.data, e.headers,
                   e.correlation_id, e.causation_id, e.time, ''
            FROM json_to_recordset(%s::json) AS e(
                   event_id uuid, type text, version smallint, source text, key text, data jsonb,
                   headers jsonb, correlation_id text, causation_id uuid, time timestamptz)""",
            [dumps([_event(row) for row in rows])],
        )


def _event(row: EventRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id.hex,
        "type": row.type,
        "version": row.version,
        "source": row.source,
        "key": row.key,
        "data": row.data,
        "headers": row.headers,
        "correlation_id": row.correlation_id,
        "causation_id": row.causation_id.hex if row.causation_id else None,
        "time": row.time.isoformat(),
    }
