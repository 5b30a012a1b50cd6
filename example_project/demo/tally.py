"""How many events and deliveries there are, by what has become of them."""

from dataclasses import dataclass

from django.db.models import Count, Max, Q

from eda_django.models import Attempt, OutboxEvent, Status


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
    # One statement, so that nothing moves while it counts: a delivery succeeds and what its
    # subscriber published is there in the same moment, and between two statements neither shows.
    seen = OutboxEvent.objects.filter(id__gt=after).aggregate(
        published=Count("id", distinct=True),
        fresh=Count("id", distinct=True, filter=Q(relayed_at=None)),
        all=Count("deliveries"),
        delivered=Count("deliveries", filter=Q(deliveries__status=Status.SUCCEEDED)),
        discarded=Count("deliveries", filter=Q(deliveries__status=Status.DISCARDED)),
        dead=Count("deliveries", filter=Q(deliveries__status=Status.DEAD)),
    )
    failed = Attempt.objects.filter(delivery__event_id__gt=after).count()
    finished = seen["delivered"] + seen["discarded"] + seen["dead"]
    return Tally(
        published=seen["published"],
        waiting=seen["fresh"] + seen["all"] - finished,
        delivered=seen["delivered"],
        # The last attempt of a dead letter was not tried again.
        retried=failed - seen["dead"],
        dead=seen["dead"],
    )
