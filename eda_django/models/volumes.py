"""Figures for the catalogue: each is one statement with a bounded scan, or one for many names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from . import statistics
from .raw import fetch, first_rows, moment
from .statistics import DAY
from .windows import first_event_since

_BY_TYPE = "SELECT type, COUNT(*), MIN(time), MAX(time) FROM ({rows}) x GROUP BY type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Events of one type that were counted, and when the first and the last of them came."""

    count: int
    first_at: datetime
    last_at: datetime


def total(counted: Mapping[str, Volume]) -> int:
    return sum(volume.count for volume in counted.values())


def is_partial(counted: Mapping[str, Volume]) -> bool:
    """Whether there may be more events than these, for want of counting, of any type."""
    return total(counted) >= statistics.MOST


def last_day(using: str) -> dict[str, Volume]:
    """Return the volume of the last day of every type in it; of its latest MOST events."""
    part = (
        "SELECT type, time FROM eda_django_outboxevent WHERE id >= %s"
        f" ORDER BY id DESC LIMIT {statistics.MOST}"
    )
    since = first_event_since(timezone.now() - DAY, using)
    return _volumes(fetch(using, _BY_TYPE.format(rows=part), [since]))


def looked_at(types: Sequence[str]) -> int:
    """Return of how many events of each of these types earlier() takes the last."""
    return statistics.MOST // max(len(types), 10)


def earlier(using: str, types: Sequence[str]) -> dict[str, Volume]:
    """Return the volume of each of these types, of any events of it, as many as looked_at()."""
    part = (
        "SELECT type, time FROM eda_django_outboxevent WHERE type = {name}"
        f" ORDER BY type, idempotency_key LIMIT {looked_at(types)}"
    )
    return _volumes(first_rows(using, _BY_TYPE, part=part, names=types))


def set_aside_by_type(using: str) -> dict[str, Volume]:
    """Return what waits of each type for code that knows it; no more than MOST events in all."""
    part = (
        "SELECT type, time FROM eda_django_outboxevent"
        " WHERE relayed_at IS NULL AND available_at IS NOT NULL AND error <> ''"
        f" LIMIT {statistics.MOST}"
    )
    return _volumes(fetch(using, _BY_TYPE.format(rows=part)))


def _volumes(rows: Iterable[tuple[Any, ...]]) -> dict[str, Volume]:
    return {
        name: Volume(count=count, first_at=first, last_at=last)
        for name, count, first_at, last_at in rows
        if (first := moment(first_at)) and (last := moment(last_at))
    }
