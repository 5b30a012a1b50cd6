"""How many events and deliveries there are, by what has become of them."""

from dataclasses import dataclass

from django.db.models import Count, Max

from eda_django.models import Attempt, Delivery, OutboxEvent, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of everything after one event. `waiting` has events no relay has seen, too."""

    published: int
    waiting: int
    delivered: int
    retried: int
    dead: int

    @property
    def is_settled(self) -> bool:
        return self.waiting == 0


def last_event() -> int:
    """Return the id of the newest event: what comes after it belongs to this run."""
    return int(OutboxEvent.objects.aggregate(last=Max("id"))["last"] or 0)


def tally(after: int) -> Tally:
    """Count what came after this event."""
    events = OutboxEvent.objects.filter(id__gt=after)
    rows = Delivery.objects.filter(event_id__gt=after)
    by_status = dict(rows.order_by().values_list("status").annotate(Count("id")))
    fresh = events.filter(relayed_at=None).count()
    finished = sum(by_status.get(s, 0) for s in (Status.SUCCEEDED, Status.DISCARDED, Status.DEAD))
    dead = by_status.get(Status.DEAD, 0)
    failed = Attempt.objects.filter(delivery__event_id__gt=after).count()
    return Tally(
        published=events.count(),
        waiting=fresh + sum(by_status.values()) - finished,
        delivered=by_status.get(Status.SUCCEEDED, 0),
        # The last attempt of a dead letter was not tried again.
        retried=failed - dead,
        dead=dead,
    )
