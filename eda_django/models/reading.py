"""Reading the deliveries of a chunk, each with its event.

Raw, because Django's compiler takes longer over the statement than the database does, and in
quiet times a chunk is one delivery, whose subscriber waits for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections
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


def queued(
    model: type["Delivery"], using: str, ids: Sequence[int], *, token: UUID
) -> list["Delivery"]:
    """Return which of the deliveries wait under this claim, in the order of their events."""
    if not ids:
        return []
    connection = connections[using]
    sql = _QUEUED.strip().format(
        columns=_listed(model), now=NOW_SQL[connection.vendor], ids=", ".join(["%s"] * len(ids))
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
        of: Any = event.related_model.from_db(using, names[width:], row[width:])
        event.set_cached_value(delivery, of)
        delivery.waited = (now - (of.relayed_at or now)).total_seconds()
        yield delivery


def _converted(
    columns: Sequence[Col | DatabaseNow], using: str, rows: Iterable[Sequence[Any]]
) -> Iterator[list[Any]]:
    """Turn what the driver answers into what the fields hold, as a QuerySet would."""
    connection = connections[using]
    converters = [
        (place, column, convert)
        for place, column in enumerate(columns)
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
def _listed(model: type["Delivery"]) -> str:
    # Unquoted: after a dot no word is reserved.
    return ", ".join(f"{column.alias}.{column.target.column}" for column in _columns(model))
