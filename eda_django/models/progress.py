"""How far events are, by the states of their deliveries."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q

from .delivery import Delivery
from .status import FINISHED, RETRYING, Status

# The first of these that a delivery is in is the event's worst state. Between them come states of
# newer code: perhaps ends, but none that this code can call one.
TO_DO = (
    Status.DEAD,
    RETRYING,
    Status.RUNNING,
    Status.QUEUED,
    Status.PENDING,
    Status.WAITING,
)
DONE = (Status.DISCARDED, Status.SUCCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Deliveries done of all, and the worst of their states; empty if there are none."""

    done: int = 0
    total: int = 0
    worst: str = ""


def progress_of(event_ids: Collection[int], using: str) -> Mapping[int, Progress]:
    """Return the progress of events by their numbers, in one statement."""
    if not event_ids:
        return {}
    retried = Count("pk", filter=Q(status=Status.PENDING, attempts__gt=0))
    rows = (
        Delivery.objects.using(using)
        .filter(event_id__in=event_ids)
        .order_by()
        .values_list("event_id", "status")
        .annotate(count=Count("pk"), retried=retried)
    )
    states: dict[int, dict[str, int]] = {}
    for event_id, status, count, retrying in rows:
        found = states.setdefault(event_id, {})
        found[status] = count
        if retrying:
            found[RETRYING] = retrying
    return {event_id: _progress(found) for event_id, found in states.items()}


def _progress(counts: Mapping[str, int]) -> Progress:
    return Progress(
        done=sum(counts.get(status, 0) for status in FINISHED),
        total=sum(count for status, count in counts.items() if status != RETRYING),
        worst=_worst(counts),
    )


def _worst(counts: Mapping[str, int]) -> str:
    unknown = sorted(counts.keys() - {*TO_DO, *DONE})
    return next(state for state in (*TO_DO, *unknown, *DONE) if state in counts)
