"""Inserting events: what publish() pays for.

Raw, because Django's compiler takes longer over a row than the database does. On PostgreSQL many
events travel as one JSON text, because a driver takes long over parameters; with a few the database
is sooner through with VALUES.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..events import Event
from ..payloads.trees import dumps

_INSERT = """INSERT INTO eda_django_outboxevent
  (event_id, type, version, source, {key}, data, headers, correlation_id, causation_id, time,
   idempotency_key, error)
{rows}"""
_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, '')"
_KEYED_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '')"
_PARAMETERS = _KEYED_VALUES.count("%s")
# Not jsonb, which holds no more than 256 MiB at once.
_RECORDS = """SELECT e.event_id, e.type, e.version, e.source, e.key, e.data, e.headers,
       e.correlation_id, e.causation_id, e.time, e.idempotency_key, ''
FROM json_to_recordset(%s::json) AS e(
       event_id uuid, type text, version smallint, source text, key text, data jsonb,
       headers jsonb, correlation_id text, causation_id uuid, time timestamptz,
       idempotency_key text)"""
# Events up to which VALUES is quicker: psycopg keeps no statement of more than 50 parameters, and
# would take each apart anew.
FEW = 5


class NewEvent(NamedTuple):
    """An event that is no row yet: its envelope, and its payload as JSON."""

    envelope: Event[Any]
    text: str
    idempotency_key: str | None = None


def insert_events(connection: BaseDatabaseWrapper, events: Sequence[NewEvent]) -> None:
    """Insert events with one statement; on SQLite with one for every few dozen.

    All or none: where it fails, the transaction that is open can only be rolled back. Raises
    IntegrityError if an idempotency key is taken.
    """
    if not connection.in_atomic_block:
        with transaction.atomic(using=connection.alias):
            _insert(connection, events)
        return
    # Have Django know of a failure, as save() does: after a deadlock InnoDB has undone the whole
    # transaction, and what comes next would be committed alone.
    with transaction.mark_for_rollback_on_error(using=connection.alias):
        _insert(connection, events)


def _insert(connection: BaseDatabaseWrapper, events: Sequence[NewEvent]) -> None:
    if connection.vendor == "postgresql" and len(events) > FEW:
        _execute(connection, _RECORDS, [_as_records(events)])
        return
    most = connection.features.max_query_params
    step = most // _PARAMETERS if most else len(events) or 1
    for start in range(0, len(events), step):
        some = events[start : start + step]
        params = [value for event in some for value in _parameters(connection, event)]
        values = ", ".join([_KEYED_VALUES if e.idempotency_key else _VALUES for e in some])
        _execute(connection, f"VALUES {values}", params)


def _execute(connection: BaseDatabaseWrapper, rows: str, params: list[Any]) -> None:
    sql = _INSERT.format(key=connection.ops.quote_name("key"), rows=rows)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


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
