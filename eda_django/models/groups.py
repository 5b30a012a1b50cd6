"""Failures by cause: how many deliveries, since when, and one of them to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Max

from . import statistics
from .attempt import Attempt
from .delivery import Delivery
from .note import FailureNote
from .raw import fetch, moment, union

# Groups on a page; a site with more causes than this has one above them all.
MAX_GROUPS = 100

# Failed attempts of their first deliveries that are looked through, the newest.
MAX_ATTEMPTS = 10_000

# The columns are those of the index over what fails. The last of a group is a dead one, if there is
# one: it can be tried alone by whoever may only retry those.
_DEAD = """
SELECT subscriber, fingerprint, started_at, id, 1 AS dead, 0 AS retrying FROM eda_django_delivery
 WHERE status = 'dead' {also} LIMIT {most}
"""
# In the words of that index first: SQLite takes it for nothing less.
_RETRYING = """
SELECT subscriber, fingerprint, started_at, id, 0 AS dead, 1 AS retrying FROM eda_django_delivery
 WHERE (status = 'dead' OR (attempts > 0 AND status = 'pending')) AND status = 'pending' {also}
 LIMIT {most}
"""
_GROUPS = """
SELECT y.*, SUM(dead) OVER (), SUM(retrying) OVER () FROM (
  SELECT subscriber, fingerprint, SUM(dead) AS dead, SUM(retrying) AS retrying,
         MAX(started_at) AS last_seen, MIN(id) AS first_id,
         COALESCE(MAX(CASE WHEN x.dead = 1 THEN id END), MAX(id)) AS last_id
    FROM ({rows}) x GROUP BY subscriber, fingerprint) y
 ORDER BY dead DESC, retrying DESC, subscriber, fingerprint LIMIT {most}
"""
_TOTALS = ("all_dead", "all_retrying")
_NAMES = ("subscriber", "fingerprint", "dead", "retrying", "last_seen", "first", "last", *_TOTALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All failing deliveries of one subscriber with one cause."""

    subscriber: str
    fingerprint: str
    error_class: str
    dead: int
    retrying: int
    # Which of the two are lower bounds, because not all were looked at.
    partial: frozenset[str]
    since: datetime | None
    last_seen: datetime | None
    example: Any
    # The example's last failed attempt; None if it was deleted by hand.
    attempt: Any
    note: Any

    @property
    def count(self) -> int:
        return self.dead + self.retrying


def groups(using: str, *, subscriber: str = "", fingerprint: str | None = None) -> list[Group]:
    """Return the groups, those with most dead letters first; five statements, however many.

    Of no state more than MOST deliveries are looked at.
    """
    wanted, params = "", list[str]()
    if subscriber:
        wanted, params = " AND subscriber = %s", [subscriber]
    if fingerprint is not None:
        wanted, params = f"{wanted} AND fingerprint = %s", [*params, fingerprint]
    parts = [part.format(also=wanted, most=statistics.MOST) for part in (_DEAD, _RETRYING)]
    sql = _GROUPS.format(rows=union(parts), most=MAX_GROUPS)
    rows = fetch(using, sql, params * 2)
    found = [dict(zip(_NAMES, row, strict=True)) for row in rows]
    return _with_examples(found, using) if found else []


def _since(attempts: Any) -> dict[int, datetime]:
    """Return since when each of these deliveries fails as it does now.

    From its newest attempt back, to where the cause was another, or where an operator had it begin
    anew: the numbers fall there.
    """
    # A sum: for the bare number the planner might walk all of the table.
    newest = attempts.order_by((F("pk") + 0).desc())
    columns = ("delivery_id", "number", "error_class", "finished_at")
    since: dict[int, datetime] = {}
    last: dict[int, tuple[int, str]] = {}
    over: set[int] = set()
    for delivery, number, kind, at in newest.values_list(*columns)[:MAX_ATTEMPTS]:
        later = last.setdefault(delivery, (number + 1, kind))
        if number >= later[0] or kind != later[1]:
            over.add(delivery)
        if delivery not in over:
            since[delivery], last[delivery] = at, (number, kind)
    return since


def _with_examples(found: Sequence[dict[str, Any]], using: str) -> list[Group]:
    firsts, lasts = {row["first"] for row in found}, {row["last"] for row in found}
    attempts = Attempt.objects.using(using)
    since = _since(attempts.filter(delivery_id__in=firsts))
    newest = attempts.filter(delivery_id__in=lasts).values("delivery_id").annotate(pk=Max("pk"))
    shown = {
        row.delivery_id: row
        for row in attempts.filter(pk__in=list(newest.order_by().values_list("pk", flat=True)))
    }
    examples = Delivery.objects.using(using).select_related("event").in_bulk(list(lasts))
    notes = {
        (note.subscriber, note.fingerprint): note
        for note in FailureNote.objects.using(using).filter(
            fingerprint__in={row["fingerprint"] for row in found}
        )
    }
    return [
        Group(
            subscriber=row["subscriber"],
            fingerprint=row["fingerprint"],
            error_class=examples[row["last"]].error_class if row["last"] in examples else "",
            dead=int(row["dead"]),
            retrying=int(row["retrying"]),
            partial=frozenset(
                state for state in ("dead", "retrying") if row[f"all_{state}"] >= statistics.MOST
            ),
            since=since.get(row["first"]),
            last_seen=moment(row["last_seen"]),
            example=examples.get(row["last"]),
            attempt=shown.get(row["last"]),
            note=notes.get((row["subscriber"], row["fingerprint"])),
        )
        for row in found
    ]
