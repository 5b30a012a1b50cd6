"""Figures for the overview and the catalogue: each is one statement with a bounded scan.

Raw, because the ORM has no LIMIT inside a part of a UNION on SQLite, and no leap through an index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from .windows import first_event_since

# Rows that a figure looks at before it says "at least", in all and for each subscription.
MOST = 100_000
# Finished deliveries of a subscription that rates and times are taken from, the latest ones.
SAMPLE = 200
DAY = timedelta(days=1)

# What the rows of a minute are grouped by, and the number of that minute since 1970. Where the two
# differ, to reckon the number for each row would take half as long again as to read the rows.
_MINUTE = {
    "postgresql": ("DATE_BIN('1 minute', {time}, 'epoch')", "DATE_PART('epoch', x.bin) / 60"),
    "mysql": ("TIMESTAMPDIFF(MINUTE, '1970-01-01', {time})", "x.bin"),
    "sqlite": ("SUBSTR({time}, 1, 16)", "CAST(STRFTIME('%%s', x.bin) AS INTEGER) / 60"),
}
_SECONDS = {
    "postgresql": "DATE_PART('epoch', {later} - {earlier})",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, {earlier}, {later}) / 1e6",
    "sqlite": "(JULIANDAY({later}) - JULIANDAY({earlier})) * 86400",
}
_SUBSCRIBERS = """
WITH RECURSIVE leap (subscriber) AS (
  SELECT (SELECT MIN(subscriber) FROM eda_django_delivery WHERE finished_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT MIN(d.subscriber) FROM eda_django_delivery d
           WHERE d.subscriber > leap.subscriber AND d.finished_at IS NOT NULL)
    FROM leap WHERE leap.subscriber IS NOT NULL
)
SELECT subscriber FROM leap WHERE subscriber IS NOT NULL LIMIT 1000
"""
# MySQL and MariaDB leap by themselves, and in the other's words would read all of the index.
_SUBSCRIBERS_ON_MYSQL = """
SELECT subscriber FROM eda_django_delivery GROUP BY subscriber HAVING MAX(finished_at) IS NOT NULL
ORDER BY subscriber LIMIT 1000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Deliveries of one subscriber in one state. `oldest`: the number of the first event."""

    subscriber: str
    status: str
    is_retry: bool
    count: int
    oldest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished delivery: seconds from publishing to start, and from start to end, if it ran."""

    subscriber: str
    status: str
    wait: float | None
    run: float | None


def subscribers_with_history(using: str) -> list[str]:
    """Return who ever finished a delivery that is still stored: a look into an index for each."""
    is_mysql = connections[using].vendor == "mysql"
    return [name for (name,) in _fetch(using, _SUBSCRIBERS_ON_MYSQL if is_mysql else _SUBSCRIBERS)]


def backlog(using: str) -> list[Backlog]:
    """Return what is not finished, and what is dead, by subscriber; no state past MOST rows."""
    part = (
        "SELECT subscriber, status, {retry} AS is_retry, event_id FROM eda_django_delivery"
        " WHERE status = '{status}' {also} LIMIT {most}"
    )
    held = "AND lease_until IS NOT NULL"
    retry = "CASE WHEN attempts > 0 THEN 1 ELSE 0 END"
    parts = [
        part.format(status="pending", retry=retry, also="", most=MOST),
        part.format(status="queued", retry="0", also=held, most=MOST),
        part.format(status="running", retry="0", also=held, most=MOST),
        part.format(status="dead", retry="0", also="", most=MOST),
    ]
    rows = _fetch(
        using,
        f"SELECT subscriber, status, is_retry, COUNT(*), MIN(event_id) FROM ({_all(parts)}) x"
        " GROUP BY subscriber, status, is_retry",
    )
    return [
        Backlog(subscriber=name, status=status, is_retry=bool(retry), count=count, oldest=oldest)
        for name, status, retry, count, oldest in rows
    ]


def latest_done(using: str, subscribers: Sequence[str]) -> list[Done]:
    """Return the latest SAMPLE finished deliveries of each subscriber."""
    if not subscribers:
        return []
    part = (
        "SELECT subscriber, status, event_id, started_at, finished_at FROM eda_django_delivery"
        " WHERE subscriber = %s AND finished_at IS NOT NULL"
        f" ORDER BY finished_at DESC LIMIT {SAMPLE}"
    )
    # Lengths, and not times: to read three times a row took the page longer than the database.
    seconds = _SECONDS[connections[using].vendor]
    wait = seconds.format(later="x.started_at", earlier="e.time")
    run = seconds.format(later="x.finished_at", earlier="x.started_at")
    rows = _fetch(
        using,
        f"SELECT x.subscriber, x.status, {wait}, {run}"
        f" FROM ({_all([part] * len(subscribers))}) x"
        " JOIN eda_django_outboxevent e ON e.id = x.event_id",
        subscribers,
    )
    return [
        Done(subscriber=name, status=status, wait=wait, run=run) for name, status, wait, run in rows
    ]


def last_successes(using: str, subscribers: Sequence[str]) -> dict[str, datetime]:
    """Return when each subscriber last succeeded."""
    if not subscribers:
        return {}
    part = (
        "SELECT subscriber, finished_at FROM eda_django_delivery WHERE subscriber = %s"
        " AND status = 'succeeded' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1"
    )
    rows = _fetch(using, _all([part] * len(subscribers)), subscribers)
    return {name: found for name, at in rows if (found := _moment(at))}


def published_by_minute(using: str, *, first_id: int) -> dict[int, int]:
    """Return how many events were published in each minute since 1970, from number `first_id`."""
    part = f"SELECT time FROM eda_django_outboxevent WHERE id >= %s ORDER BY id DESC LIMIT {MOST}"
    return _by_minute(using, "time", part, [first_id])


def finished_by_minute(
    using: str, subscribers: Sequence[str], *, since: datetime
) -> dict[int, int]:
    """Return how many deliveries ended in each minute since 1970, from `since` on."""
    if not subscribers:
        return {}
    most = max(MOST // len(subscribers), SAMPLE)
    part = (
        "SELECT finished_at FROM eda_django_delivery WHERE subscriber = %s AND finished_at >= %s"
        f" AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT {most}"
    )
    at = connections[using].ops.adapt_datetimefield_value(since)
    params = [value for name in subscribers for value in (name, at)]
    return _by_minute(using, "finished_at", _all([part] * len(subscribers)), params)


def _by_minute(using: str, column: str, times: str, params: Sequence[Any]) -> dict[int, int]:
    """Return how many of these times are in each minute since 1970."""
    bin_of, number = _MINUTE[connections[using].vendor]
    rows = _fetch(
        using,
        f"SELECT {number}, x.count FROM (SELECT {bin_of.format(time=column)} AS bin,"
        f" COUNT(*) AS count FROM ({times}) y GROUP BY 1) x",
        params,
    )
    return {int(minute): count for minute, count in rows if minute is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How many events of a type in the last day, and when the last one came."""

    count: int
    last_seen: datetime | None
    source: str = ""


def volumes(using: str) -> dict[str, Volume]:
    """Return the volume of the last day of every type in it; of its latest MOST events."""
    now = timezone.now()
    rows = _fetch(
        using,
        "SELECT type, COUNT(*), MAX(time), MAX(source) FROM (SELECT type, time, source"
        f" FROM eda_django_outboxevent WHERE id >= %s ORDER BY id DESC LIMIT {MOST}) x"
        " GROUP BY type",
        [first_event_since(now - DAY, using)],
    )
    return {
        name: Volume(count=count, last_seen=_moment(at), source=source)
        for name, count, at, source in rows
    }


def last_seen(using: str, types: Sequence[str]) -> dict[str, datetime]:
    """Return when the last event of each of these types came, of those with MOST at most."""
    if not types:
        return {}
    part = (
        "SELECT type, time FROM eda_django_outboxevent WHERE type = %s"
        f" ORDER BY type, idempotency_key LIMIT {MOST // max(len(types), 10)}"
    )
    rows = _fetch(
        using,
        f"SELECT type, MAX(time) FROM ({_all([part] * len(types))}) x GROUP BY type",
        types,
    )
    return {name: found for name, at in rows if (found := _moment(at))}


def set_aside_by_type(using: str) -> dict[str, int]:
    """Return how many events of each type wait for code that knows them."""
    rows = _fetch(
        using,
        "SELECT type, COUNT(*) FROM (SELECT type FROM eda_django_outboxevent"
        " WHERE relayed_at IS NULL AND available_at IS NOT NULL AND error <> ''"
        f" LIMIT {MOST}) x GROUP BY type",
    )
    return dict(rows)


def _all(parts: Iterable[str]) -> str:
    # In a SELECT of its own: SQLite takes no LIMIT inside a UNION otherwise.
    return " UNION ALL ".join(f"SELECT * FROM ({part}) p{n}" for n, part in enumerate(parts))


def _fetch(using: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _moment(value: Any) -> datetime | None:
    # SQLite answers with texts; only PostgreSQL with a time zone.
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None or timezone.is_aware(value):
        return value  # type: ignore[no-any-return]
    return timezone.make_aware(value, timezone.get_fixed_timezone(0))
