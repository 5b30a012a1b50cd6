"""For the tests of sites: what was published, and the whole way to the subscribers."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Max

from .inline import InlineTransport
from .models import Delivery, OutboxEvent
from .relay import Relay


@contextmanager
def capture(*types: str, using: str = DEFAULT_DB_ALIAS) -> Iterator[list[OutboxEvent]]:
    """Collect the events that the body publishes, oldest first, of these types or of all.

    The list is filled when the body ends, with OutboxEvent rows; what was rolled back is not
    among them.
    """
    events = OutboxEvent.objects.using(using)
    last = events.aggregate(last=Max("pk"))["last"] or 0
    published: list[OutboxEvent] = []
    yield published
    found = events.filter(pk__gt=last).order_by("pk")
    published += found.filter(type__in=types) if types else found


def drain(using: str = DEFAULT_DB_ALIAS) -> list[Delivery]:
    """Run every delivery that is due, here and now, the way a relay and workers would.

    Includes what the subscribers publish meanwhile; what failed waits for its retry. Returns the
    deliveries that were attempted.
    """
    before = dict(Delivery.objects.using(using).values_list("pk", "started_at"))
    Relay(using=using, transport=InlineTransport()).drain()
    rows = Delivery.objects.using(using).select_related("event").order_by("pk")
    return [row for row in rows if before.get(row.pk) != row.started_at]
