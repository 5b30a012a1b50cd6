"""Finding events by what operators have in their hands, with the indexes that are there."""

from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.models import Q

from .outbox import OutboxEvent
from .selection import as_uuid

# The most events that a search looks at for each meaning of its term.
MAX_FOUND = 500

# Leaps from one type to the next in the index of idempotency keys, which begins with the type.
_TYPES = """
WITH RECURSIVE leap (type) AS (
  SELECT (SELECT MIN(type) FROM eda_django_outboxevent)
  UNION ALL
  SELECT (SELECT MIN(e.type) FROM eda_django_outboxevent e WHERE e.type > leap.type)
    FROM leap WHERE leap.type IS NOT NULL
)
SELECT type FROM leap WHERE type IS NOT NULL LIMIT 1000
"""
# MySQL and MariaDB leap by themselves, and in the other's words would read all of the index.
_TYPES_ON_MYSQL = "SELECT type FROM eda_django_outboxevent GROUP BY type ORDER BY type LIMIT 1000"


def types_in_the_outbox(using: str) -> list[str]:
    """Return the types of all stored events: a look into an index for each, no scan."""
    connection = connections[using]
    sql = _TYPES_ON_MYSQL if connection.vendor == "mysql" else _TYPES
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [name for (name,) in cursor.fetchall()]


def events_found(rows: Any, term: str) -> tuple[Any, bool]:
    """Return the events with this id, key, correlation id or idempotency key, exactly.

    And whether there may be more of one of these than are looked at.
    """
    meant = list(_meant(term, rows.db))
    return rows.filter(pk__in=set().union(*meant)), any(len(ids) >= MAX_FOUND for ids in meant)


def _meant(term: str, using: str) -> Iterator[list[int]]:
    """Yield the numbers of the newest events for each meaning of a term.

    Before any filter, which may match few of a million, and would have all of them read.
    """
    everything: Any = OutboxEvent.objects.using(using)
    wanted = [Q(key=term) & ~Q(key=""), Q(correlation_id=term)]
    wanted.append(Q(type__in=types_in_the_outbox(using), idempotency_key=term))
    if event_id := as_uuid(term):
        wanted.append(Q(event_id=event_id))
    # One after the other: of alternatives in one condition MariaDB uses the first index at most.
    for condition in wanted:
        newest = everything.filter(condition).order_by("-pk").values_list("pk", flat=True)
        yield list(newest[:MAX_FOUND])
