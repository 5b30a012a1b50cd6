"""Inserting events: what publish() pays for.

Raw, because Django's compiler takes longer over a row than the database does. Many events travel as
one JSON text: to PostgreSQL because a driver takes long over parameters, to SQLite because it takes
no more than 999. With a few the database is sooner through with VALUES.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..events import Event
from ..payloads.trees import dumps

_INSERT = """INSERT INTO eda_django_outboxevent
  (event_id, type, version, source, {key}, data, headers, correlation_id, causation_id, time,
   idempotency_key, error)
"""
_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, '')"
_KEYED_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '')"
# Not jsonb, which holds no more than 256 MiB at once.
_RECORDS = """SELECT e.event_id, e.type, e.version, e.source, e.key, e.data, e.headers,
       e.correlation_id, e.causation_id, e.time, e.idempotency_key, ''
FROM json_to_recordset(%s::json) AS e(
       event_id uuid, type text, version smallint, source text, key text, data jsonb,
       headers jsonb, correlation_id text, causation_id uuid, time timestamptz,
       idempotency_key text)"""
# In the order in which VALUES has them; what is not there is NULL.
_ARRAYS = """SELECT json_extract(e.value, '$[0]'), json_extract(e.value, '$[1]'),
       json_extract(e.value, '$[2]'), json_extract(e.value, '$[3]'), json_extract(e.value, '$[4]'),
       json_extract(e.value, '$[5]'), json_extract(e.value, '$[6]'), json_extract(e.value, '$[7]'),
       json_extract(e.value, '$[8]'), json_extract(e.value, '$[9]'), json_extract(e.value, '$[10]'),
       ''
FROM json_each(%s) e ORDER BY e.key"""
# Events up to which VALUES is quicker: psycopg keeps no statement of more than 50 parameters, and
# would take each apart anew.
FEW = 5


class NewEvent(NamedTuple):
    """An event that is no row yet: its envelope, and its payload as JSON."""

    envelope: Event[Any]
    text: str
    idempotency_key: str | None = None


def insert_events(connection: BaseDatabaseWrapper, events: Sequence[NewEvent]) -> None:
    """Insert events with one statement: all or none.

    Where it fails, the transaction that is open can only be rolled back. Raises IntegrityError if
    an idempotency key is taken.
    """
    if not events:
        return
    # Have Django know of a failure, as save() does: after a deadlock InnoDB has undone the whole
    # transaction, and what comes next would be committed alone.
    with transaction.mark_for_rollback_on_error(using=connection.alias):
        _execute(connection, *_rows(connection, events))


def _rows(connection: BaseDatabaseWrapper, events: Sequence[NewEvent]) -> tuple[str, list[Any]]:
    """Return what follows the columns in the INSERT, and its parameters."""
    if len(events) > FEW and connection.vendor == "postgresql":
        return _RECORDS, [_as_records(events)]
    if len(events) > FEW and connection.vendor == "sqlite":
        return _ARRAYS, [dumps([_parameters(connection, event) for event in events])]
    params = [value for event in events for value in _parameters(connection, event)]
    values = ", ".join([_KEYED_VALUES if e.idempotency_key else _VALUES for e in events])
    return f"VALUES {values}", params


def _execute(connection: BaseDatabaseWrapper, rows: str, params: list[Any]) -> None:
    sql = _into(connection.ops.quote_name("key")) + rows
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@cache
def _into(key: str) -> str:
    """Return what comes before the rows, with the name of a column that MySQL wants in quotes."""
    return _INSERT.format(key=key)


def _parameters(connection: BaseDatabaseWrapper, event: NewEvent) -> tuple[Any, ...]:
    envelope = event.envelope
    text, headers = event.text, dumps(envelope.headers) if envelope.headers else "{}"
    if connection.vendor == "postgresql":
        # A text is sooner written than a time.
        time: Any = envelope.time.isoformat()
    else:
        time = connection.ops.adapt_datetimefield_value(envelope.time)
        text, headers = _in_ascii(text), _in_ascii(headers)
    return (
        envelope.id.hex,
        envelope.type,
        envelope.version,
        envelope.source,
        envelope.key,
        text,
        headers,
        envelope.correlation_id,
        envelope.causation_id.hex if envelope.causation_id else None,
        time,
        *([event.idempotency_key] if event.idempotency_key else []),
    )


def _in_ascii(text: str) -> str:
    # As Django's JSONField writes it: whatever letters the connection and the column have.
    return text if text.isascii() else json.dumps(json.loads(text))


def _as_records(events: Sequence[NewEvent]) -> str:
    return f"[{','.join(map(_as_record, events))}]"


def _as_record(event: NewEvent) -> str:
    envelope = event.envelope
    fields = {
        "event_id": envelope.id.hex,
        "type": envelope.type,
        "version": envelope.version,
        "source": envelope.source,
        "key": envelope.key,
        "headers": envelope.headers,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id.hex if envelope.causation_id else None,
        "idempotency_key": event.idempotency_key,
        "time": envelope.time.isoformat(),
    }
    # Its payload is JSON already.
    return f'{dumps(fields)[:-1]},"data":{event.text}}}'
