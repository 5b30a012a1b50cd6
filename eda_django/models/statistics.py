"""Figures for the overview: each is one statement with a bounded scan, or one for many names.

Raw, because the ORM has no LIMIT inside a part of a UNION on SQLite, and no leap through an index.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections

from .raw import fetch, first_rows, moment, union
from .status import SET_ASIDE

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
    # Put aside: it waits for code, or for a queue, that is not there.
    is_aside: bool
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
    return [name for (name,) in fetch(using, _SUBSCRIBERS_ON_MYSQL if is_mysql else _SUBSCRIBERS)]


def backlog(using: str) -> list[Backlog]:
    """Return what is not finished, and what is dead, by subscriber; no state past MOST rows."""
    part = (
        "SELECT subscriber, status, {kind}, event_id FROM eda_django_delivery"
        " WHERE status = '{status}' {also} LIMIT {most}"
    )
    held = "AND lease_until IS NOT NULL"
    kinds = ", ".join(f"'{kind}'" for kind in SET_ASIDE)
    waiting = (
        "CASE WHEN attempts > 0 THEN 1 ELSE 0 END AS is_retry,"
        f" CASE WHEN error_class IN ({kinds}) THEN 1 ELSE 0 END AS is_aside"
    )
    other = "0 AS is_retry, 0 AS is_aside"
    parts = [
        part.format(status="pending", kind=waiting, also="", most=MOST),
        part.format(status="queued", kind=other, also=held, most=MOST),
        part.format(status="running", kind=other, also=held, most=MOST),
        part.format(status="dead", kind=other, also="", most=MOST),
    ]
    rows = fetch(
        using,
        "SELECT subscriber, status, is_retry, is_aside, COUNT(*), MIN(event_id)"
        f" FROM ({union(parts)}) x GROUP BY subscriber, status, is_retry, is_aside",
    )
    return [
        Backlog(
            subscriber=name,
            status=status,
            is_retry=bool(is_retry),
            is_aside=bool(is_aside),
            count=count,
            oldest=oldest,
        )
        for name, status, is_retry, is_aside, count, oldest in rows
    ]


def partial(waiting: Iterable[Backlog]) -> set[str]:
    """Return the states that have more deliveries, perhaps, than were counted."""
    sums: Counter[str] = Counter()
    for part in waiting:
        sums[part.status] += part.count
    return {status for status, count in sums.items() if count >= MOST}


def latest_done(using: str, subscribers: Sequence[str]) -> list[Done]:
    """Return the latest SAMPLE finished deliveries of each subscriber."""
    part = (
        "SELECT subscriber, status, event_id, started_at, finished_at FROM eda_django_delivery"
        " WHERE subscriber = {name} AND finished_at IS NOT NULL"
        f" ORDER BY finished_at DESC LIMIT {SAMPLE}"
    )
    # Lengths, and not times: to read three times a row took the page longer than the database.
    seconds = _SECONDS[connections[using].vendor]
    wait = seconds.format(later="x.started_at", earlier="e.time")
    run = seconds.format(later="x.finished_at", earlier="x.started_at")
    sql = (
        f"SELECT x.subscriber, x.status, {wait}, {run}"
        " FROM ({rows}) x JOIN eda_django_outboxevent e ON e.id = x.event_id"
    )
    rows = first_rows(using, sql, part=part, names=subscribers)
    return [
        Done(subscriber=name, status=status, wait=wait, run=run) for name, status, wait, run in rows
    ]


def last_successes(using: str, subscribers: Sequence[str]) -> dict[str, datetime]:
    """Return when each subscriber last succeeded, as far as that is among what was looked at.

    Of most it is among the latest SAMPLE; for the rest MOST are looked at, of all of them together.
    """
    found = _last_among(using, subscribers, SAMPLE)
    rest = [name for name in subscribers if name not in found]
    most = MOST // max(len(rest), 1)
    return found | _last_among(using, rest, most) if most > SAMPLE else found


def _last_among(using: str, subscribers: Sequence[str], most: int) -> dict[str, datetime]:
    # The limit comes before the state, which the index does not have: somebody may have discarded
    # a million.
    part = (
        "SELECT MIN(subscriber) AS subscriber, MAX(finished_at) AS finished_at FROM"
        " (SELECT subscriber, status, finished_at FROM eda_django_delivery"
        " WHERE subscriber = {name} AND finished_at IS NOT NULL"
        f" ORDER BY finished_at DESC LIMIT {most}) y WHERE status = 'succeeded'"
    )
    rows = first_rows(using, "{rows}", part=part, names=subscribers)
    return {name: found for name, at in rows if (found := moment(at))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How many there were in each minute since 1970; before `whole_from` not all were counted."""

    by_minute: dict[int, int]
    whole_from: int = 0


def published_by_minute(using: str, *, first_id: int) -> Traffic:
    """Return how many events were published, from number `first_id` on."""
    part = (
        "SELECT 0 AS part, time AS at, 1 AS counts FROM eda_django_outboxevent WHERE id >= %s"
        f" ORDER BY id DESC LIMIT {MOST}"
    )
    sql = _by_minute(using).format(rows=part)
    return _traffic(fetch(using, sql, [first_id]), most=MOST)


def finished_by_minute(using: str, subscribers: Sequence[str], *, since: datetime) -> Traffic:
    """Return how many deliveries succeeded, from `since` on; all that ended are looked at."""
    most = max(MOST // max(len(subscribers), 1), SAMPLE)
    part = (
        "SELECT {number} AS part, finished_at AS at,"
        " CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END AS counts"
        " FROM eda_django_delivery WHERE subscriber = {name}"
        " AND finished_at >= %s AND finished_at IS NOT NULL"
        f" ORDER BY finished_at DESC LIMIT {most}"
    )
    at = connections[using].ops.adapt_datetimefield_value(since)
    rows = first_rows(using, _by_minute(using), part=part, names=subscribers, also=[at])
    return _traffic(rows, most=most)


def _by_minute(using: str) -> str:
    """Return what counts {rows} by part and minute: all, and those of them that count."""
    bin_of, number = _MINUTE[connections[using].vendor]
    return (
        f"SELECT x.part, {number}, x.count, x.counts FROM"
        f" (SELECT part, {bin_of.format(time='at')} AS bin,"
        " COUNT(*) AS count, SUM(counts) AS counts FROM ({rows}) y GROUP BY 1, 2) x"
    )


def _traffic(rows: Iterable[tuple[Any, ...]], *, most: int) -> Traffic:
    """Sum up what was counted by part and minute.

    A part that has `most` rows, whether they count or not, is cut off before its first.
    """
    by_minute: Counter[int] = Counter()
    sums: Counter[int] = Counter()
    firsts: dict[int, int] = {}
    for part, minute, count, counts in rows:
        if minute is not None:
            if counts:
                by_minute[int(minute)] += int(counts)
            sums[part] += count
            firsts[part] = min(firsts.get(part, int(minute)), int(minute))
    whole = (first + 1 for part, first in firsts.items() if sums[part] >= most)
    return Traffic(by_minute=dict(by_minute), whole_from=max(whole, default=0))
