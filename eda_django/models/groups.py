"""Failures by cause: how many deliveries, since when, and one of them to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Coalesce

from .attempt import Attempt
from .delivery import Delivery
from .note import FailureNote
from .status import Status

# Groups on a page; a site with more causes than this has one above them all.
MAX_GROUPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All failing deliveries of one subscriber with one cause."""

    subscriber: str
    fingerprint: str
    error_class: str
    dead: int
    retrying: int
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
    """Return the groups, those with most dead letters first; five statements, however many."""
    rows: Any = Delivery.objects.using(using).failing()
    if subscriber:
        rows = rows.filter(subscriber=subscriber)
    if fingerprint is not None:
        rows = rows.filter(fingerprint=fingerprint)
    found = list(
        rows.order_by()
        .values("subscriber", "fingerprint")
        .annotate(
            dead=Count("pk", filter=Q(status=Status.DEAD)),
            retrying=Count("pk", filter=Q(status=Status.PENDING)),
            last_seen=Max("started_at"),
            first=Min("pk"),
            # A dead one first: it can be tried alone by whoever may only retry those.
            last=Coalesce(Max("pk", filter=Q(status=Status.DEAD)), Max("pk")),
        )
        .order_by("-dead", "-retrying", "subscriber", "fingerprint")[:MAX_GROUPS]
    )
    return _with_examples(found, using) if found else []


def _with_examples(found: Sequence[dict[str, Any]], using: str) -> list[Group]:
    firsts, lasts = {row["first"] for row in found}, {row["last"] for row in found}
    attempts = Attempt.objects.using(using)
    since = dict(
        attempts.filter(delivery_id__in=firsts)
        .values_list("delivery_id")
        .annotate(at=Min("finished_at"))
        .order_by()
    )
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
            dead=row["dead"],
            retrying=row["retrying"],
            since=since.get(row["first"]),
            last_seen=row["last_seen"],
            example=examples.get(row["last"]),
            attempt=shown.get(row["last"]),
            note=notes.get((row["subscriber"], row["fingerprint"])),
        )
        for row in found
    ]
