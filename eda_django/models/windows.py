"""Pages of big tables, newest first, by key: no offset, no count, and no scan without an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import F, Max

# Rows that one page looks through for those that a filter matches.
WINDOW = 100_000
# An event's time may be this much later than its number says: clocks and transactions differ.
SLACK = timedelta(hours=1)

# Halves the range of numbers until one is left, each step by one look into the primary key.
_FIRST_SINCE = """
WITH RECURSIVE search (low, high) AS (
  SELECT (SELECT MIN(id) FROM eda_django_outboxevent),
         (SELECT MAX(id) + 1 FROM eda_django_outboxevent)
  UNION ALL
  SELECT CASE WHEN (SELECT time FROM eda_django_outboxevent
                     WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1) < %s
              THEN (low + high) / 2 + 1 ELSE low END,
         CASE WHEN (SELECT time FROM eda_django_outboxevent
                     WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1) < %s
              THEN high ELSE (low + high) / 2 END
    FROM search WHERE low < high
)
SELECT MAX(low) FROM search WHERE low >= high
"""
# The same on MySQL and MariaDB: about how many numbers a statement looks at, and statements.
PROBES, ROUNDS = 100, 3
_PROBE = """SELECT %s AS place, (SELECT time FROM eda_django_outboxevent
            WHERE id >= %s ORDER BY id LIMIT 1) AS time"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows, newest first. `older`: the number to go on below, None at the end.

    `is_cut`: there may be more in this part of the table than what was looked through.
    `above`: the number below which everything lies, if the page did not begin there.
    """

    rows: Sequence[Any]
    older: int | None
    is_cut: bool = False
    above: int | None = None


def page(
    rows: Any,
    *,
    before: int | None,
    size: int,
    is_narrow: bool = False,
    lowest: int = 0,
    highest: int | None = None,
) -> Page:
    """Return the next `size` rows below the number `before`.

    Of rows that no index leads to, only a window of the table is looked through. `is_narrow`
    says that one does, and that the order must not tempt the planner to walk the whole table.
    Nothing that matches has a number below `lowest`, and hardly anything one above `highest`.
    """
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if is_narrow:
        # Their numbers first: what is sorted should be narrow, and come from the index alone.
        newest = rows.order_by((F("pk") + 0).desc()).values_list("pk", flat=True)
        ids = list(newest[: size + 1])
        found = list(rows.filter(pk__in=ids[:size]).order_by("-pk"))
        return Page(rows=found, older=ids[size - 1] if len(ids) > size else None)
    everything = rows.model._default_manager.using(rows.db)
    above = None
    if before is None:
        newest = everything.aggregate(newest=Max("pk"))["newest"]
        if newest is None:
            return Page(rows=(), older=None)
        before = newest + 1
        if highest is not None and highest < newest:
            above, before = before, highest + 1
            rows = rows.filter(pk__lt=before)
    floor = max(before - WINDOW, lowest)
    found = list(rows.filter(pk__gte=floor).order_by("-pk")[: size + 1])
    if len(found) > size:
        return Page(rows=found[:size], older=found[size - 1].pk, above=above)
    next_below = everything.filter(pk__lt=floor, pk__gte=lowest).aggregate(newest=Max("pk"))[
        "newest"
    ]
    older = None if next_below is None else next_below + 1
    return Page(rows=found, older=older, is_cut=older is not None, above=above)


def first_event_since(moment: datetime, using: str) -> int:
    """Return the number of about the first event of this time; 1 past the last if none is.

    Numbers and times have almost the same order. Needs no index over times.
    """
    connection = connections[using]
    value = connection.ops.adapt_datetimefield_value(moment)
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            return _narrowed(cursor, value)
        cursor.execute(_FIRST_SINCE, [value, value])
        (found,) = cursor.fetchone()
    return int(found or 1)


def _narrowed(cursor: Any, moment: Any) -> int:
    """Find it by rounds of probes, of which the statement has the numbers.

    MariaDB and MySQL read a table from its start for a number that another row of the statement
    has. Past PROBES to the power of ROUNDS the number found is a little too low.
    """
    cursor.execute("SELECT MIN(id), MAX(id) + 1 FROM eda_django_outboxevent")
    low, high = cursor.fetchone()
    if low is None:
        return 1
    for _ in range(ROUNDS):
        step = max((high - low) // PROBES, 1)
        places = range(low, high + 1, step)
        probes = " UNION ALL ".join([_PROBE] * len(places))
        # Past the last event there is no time.
        sql = f"SELECT MIN(place) FROM ({probes}) x WHERE time >= %s OR time IS NULL"
        cursor.execute(sql, [*(number for place in places for number in (place, place)), moment])
        (found,) = cursor.fetchone()
        if found is None:
            low = places[-1]
        else:
            low, high = max(found - step, low), found
    return int(high if step == 1 else low)
