"""G4: events whose deliveries the database refuses, one by one, and the batch around them."""

import re
from collections.abc import Sequence

import pytest

from eda_django import conf
from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from eda_django.routing import Router
from tests.relay.standing_in import nothing
from tests.relaying import Recorder, happen, on_happened


def poison(event: OutboxEvent, *, using: str = "default") -> None:
    """Make it an event whose delivery exists, so that the database takes no other."""
    Delivery.objects.using(using).create(
        event=event, subscriber="t.sub", queue="default", status="succeeded"
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("limit", "left"), [(1, 4), (3, 2), (5, 0), (9, 0)])
def test_those_that_are_tried_one_by_one_are_no_more_than_a_batch(limit: int, left: int) -> None:
    on_happened(nothing)
    happen(5)
    first = OutboxEvent.objects.earliest("pk")
    poison(first)
    count, chunks = Router("default", registry).fan_out(limit)
    assert count == min(limit, 5)
    assert sum(len(chunk.delivery_ids) for chunk in chunks) == min(limit, 5) - 1
    assert OutboxEvent.objects.fresh().count() == left
    assert list(OutboxEvent.objects.set_aside()) == [first]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "places", [(0, 1), (1, 2), (0, 1, 2), (0, 2, 4), (3, 4, 5), (0, 1, 2, 3, 4), range(6)]
)
def test_poison_that_fills_a_batch_stops_no_other(places: Sequence[int]) -> None:
    """At the head, across the border of two batches, more of it than one takes."""
    on_happened(nothing)
    happen(6)
    events = list(OutboxEvent.objects.order_by("pk"))
    poisoned = [events[place] for place in places]
    for event in poisoned:
        poison(event)
    transport = Recorder()
    relay = Relay(transport=transport, batch_size=2)
    # No more turns than without it.
    for _ in range(3):
        relay.poll()
    pushed = Delivery.objects.filter(pk__in=transport.ids).order_by("event_id")
    sent = [event.pk for event in events if event not in poisoned]
    assert list(pushed.values_list("event_id", flat=True)) == sent
    assert list(OutboxEvent.objects.set_aside().order_by("pk")) == poisoned


@pytest.mark.django_db(transaction=True)
def test_poison_whose_pause_is_over_is_set_aside_again_and_stops_no_other() -> None:
    """Nor another that was set aside, and may go now: that would wait for ever."""
    on_happened(nothing)
    happen(2)
    poisoned, good = OutboxEvent.objects.order_by("pk")
    poison(poisoned)
    for _ in range(3):
        OutboxEvent.objects.filter(relayed_at=None).update(available_at=after(-1), error="unknown")
        relay = Relay(transport=Recorder())
        assert relay.poll() == 0.0
        assert list(OutboxEvent.objects.set_aside()) == [poisoned]
        # Not sooner than its next pause ends.
        assert relay.poll() == conf.get("POLL_INTERVAL")
    good.refresh_from_db()
    assert good.relayed_at is not None


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_reason_is_kept_on_the_outboxs_own_database() -> None:
    """G12."""
    on_happened(nothing)
    happen(2, using="other")
    events = OutboxEvent.objects.using("other")
    poison(events.earliest("pk"), using="other")
    Router("other", registry).fan_out(10)
    error = events.earliest("pk").error
    assert re.match("the database refuses its deliveries: .*(unique|duplicate)", error, re.I)
    assert events.latest("pk").relayed_at is not None
