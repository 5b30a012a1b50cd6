"""Reading the deliveries of a chunk, each with its event.

Raw, because Django's compiler takes longer over the statement than the database does, and in
quiet times a chunk is one delivery, whose subscriber waits for it.

The events' JSON comes as text, and where it is large not at all: see unparsed.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections
from django.db.models import JSONField
from django.db.models.expressions import Col

from .clock import NOW_SQL, DatabaseNow

if TYPE_CHECKING:
    from .delivery import Delivery

_QUEUED = """
SELECT {columns}, {now}
  FROM eda_django_delivery d JOIN eda_django_outboxevent e ON e.id = d.event_id
 WHERE d.status = 'queued' AND d.token = %s AND d.id IN ({ids})
 ORDER BY d.event_id
"""
# The size of JSON as it is stored, in bytes; of which more than LARGE is read one by one.
_SIZE = {"postgresql": "PG_COLUMN_SIZE({})", "mysql": "OCTET_LENGTH({})", "sqlite": "LENGTH({})"}
LARGE = 65_536


def queued(
    model: type["Delivery"], using: str, ids: Sequence[int], *, token: UUID
) -> list["Delivery"]:
    """Return which of the deliveries wait under this claim, in the order of their events."""
    if not ids:
        return []
    connection = connections[using]
    sql = _QUEUED.strip().format(
        columns=_listed(model, connection.vendor),
        now=NOW_SQL[connection.vendor],
        ids=", ".join(["%s"] * len(ids)),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [token.hex, *ids])
        rows = cursor.fetchall()
    return list(_made(model, using, rows))


def _made(
    model: type["Delivery"], using: str, rows: Iterable[Sequence[Any]]
) -> Iterator["Delivery"]:
    event, columns = model._meta.get_field("event"), _columns(model)
    names = [column.target.attname for column in columns]
    width = len(model._meta.concrete_fields)
    for *row, now in _converted((*columns, DatabaseNow()), using, rows):
        delivery = model.from_db(using, names[:width], row[:width])
        of = _event(event.related_model, using, dict(zip(names[width:], row[width:], strict=True)))
        event.set_cached_value(delivery, of)
        delivery.waited = (now - (of.relayed_at or now)).total_seconds()
        yield delivery


def _event(model: Any, using: str, values: dict[str, Any]) -> Any:
    texts = {field.attname: values.pop(field.attname) for field in _json_fields(model)}
    event = model.from_db(using, list(values), list(values.values()))
    event.unparsed = {name: text for name, text in texts.items() if text is not None}
    return event


def _converted(
    columns: Sequence[Col | DatabaseNow], using: str, rows: Iterable[Sequence[Any]]
) -> Iterator[list[Any]]:
    """Turn what the driver answers into what the fields hold, as a QuerySet would."""
    connection = connections[using]
    converters = [
        (place, column, convert)
        for place, column in enumerate(columns)
        if not _is_json(column)
        for convert in (
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        )
    ]
    for row in map(list, rows):
        for place, column, convert in converters:
            row[place] = convert(row[place], column, connection)
        yield row


@cache
def _columns(model: type["Delivery"]) -> tuple[Col, ...]:
    """Return the columns of a delivery, and after them those of its event."""
    tables = {"d": model, "e": model._meta.get_field("event").related_model}
    return tuple(
        Col(alias, field) for alias, kind in tables.items() for field in kind._meta.concrete_fields
    )


@cache
def _json_fields(model: Any) -> tuple[Any, ...]:
    return tuple(field for field in model._meta.concrete_fields if isinstance(field, JSONField))


def _is_json(column: Col | DatabaseNow) -> bool:
    return isinstance(column, Col) and isinstance(column.target, JSONField)


@cache
def _listed(model: type["Delivery"], vendor: str) -> str:
    return ", ".join(_spelled(column, vendor) for column in _columns(model))


def _spelled(column: Col, vendor: str) -> str:
    # Unquoted: after a dot no word is reserved.
    name = f"{column.alias}.{column.target.column}"
    if not _is_json(column):
        return name
    return f"CASE WHEN {_SIZE[vendor].format(name)} <= {LARGE} THEN {name} END"
