"""Pushing: retries, a transport that does not take it, and the relay as its own worker."""

from typing import Any

import pytest

from eda_django import Event, publish
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import TransportUnavailable
from eda_django.inline import InlineTransport
from eda_django.models import Delivery
from eda_django.models.clock import after
from eda_django.models.status import UNPUSHABLE
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import (
    HAPPENED,
    Recorder,
    happen,
    make_due,
    on_happened,
    only_delivery,
    relayed,
    seconds_until,
    statuses,
)
from tests.testapp.models import Effect

# Retries


@pytest.mark.django_db
def test_failed_delivery_is_pushed_again_when_it_is_due() -> None:
    on_happened(nothing)
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.put_aside(chunk.token, chunk.delivery_ids, kind="x", reason="y", seconds=60)
    relay = Relay(transport=transport)
    transport.chunks.clear()
    assert relay.poll() == pytest.approx(5.0)
    assert transport.chunks == []
    make_due()
    assert relay.poll() == 0.0
    assert transport.ids == [only_delivery().pk]
    assert transport.chunks[0].token != chunk.token


@pytest.mark.django_db
def test_relay_sleeps_until_the_next_retry() -> None:
    on_happened(nothing)
    (chunk,) = relayed().chunks
    Delivery.objects.put_aside(chunk.token, chunk.delivery_ids, kind="x", reason="y", seconds=900)
    assert 800 < Relay(transport=Recorder(), poll_interval=2000).poll() <= 900


@pytest.mark.django_db
def test_retry_goes_to_the_queue_that_the_subscriber_has_now() -> None:
    """Its old queue may be gone from RQ_QUEUES, or no worker may listen on it any more."""
    on_happened(nothing, queue="slow")
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    registry.remove("t.sub")
    on_happened(nothing, queue="fast")
    transport.chunks.clear()
    Relay(transport=transport).poll()
    assert transport.chunks[0].queue == only_delivery().queue == "fast"


@pytest.mark.django_db
def test_delivery_of_an_unknown_subscriber_goes_to_its_old_queue() -> None:
    """G10: newer code, which knows it, may run there."""
    on_happened(nothing, queue="slow")
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    registry.remove("t.sub")
    transport.chunks.clear()
    Relay(transport=transport).poll()
    assert transport.chunks[0].queue == "slow"


# A transport that does not take it


@pytest.mark.django_db
def test_push_that_fails_gives_everything_back() -> None:
    """G2: no attempt burns, and nothing waits for a lease."""
    on_happened(nothing)
    transport = Recorder()
    transport.is_down = True
    happen(3)
    relay = Relay(transport=transport)
    with pytest.raises(TransportUnavailable):
        relay.drain()
    assert statuses() == ["pending"] * 3
    transport.is_down = False
    relay.drain()
    assert len(transport.ids) == 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


@pytest.mark.django_db
def test_queue_that_takes_nothing_delays_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """G4: what goes through it is put aside, with one line in the log for each subscriber."""
    on_happened(nothing, name="t.good", queue="fast")
    on_happened(nothing, name="t.bad", queue="slow")
    transport = Recorder()
    transport.refused["slow"] = "Redis is away"
    happen(50)
    relay = Relay(transport=transport)
    relay.drain()
    assert {chunk.subscriber for chunk in transport.chunks} == {"t.good"}
    assert len(transport.ids) == 50
    aside = Delivery.objects.filter(subscriber="t.bad")
    assert set(aside.values_list("status", "error_class", "error_text", "attempts")) == {
        ("pending", UNPUSHABLE, "Redis is away", 0)
    }
    assert [seconds_until(row.due_at) > 10 for row in aside] == [True] * 50
    assert caplog.text.count("can't push count=50 deliveries for t.bad: Redis is away") == 1
    assert caplog.text.count("can't push") == 1


@pytest.mark.django_db
def test_drain_gets_past_a_batch_that_is_refused() -> None:
    on_happened(nothing, name="t.bad", queue="slow")
    on_happened(nothing, name="t.good", queue="fast")
    transport = relayed(4)
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    Delivery.objects.filter(subscriber="t.bad").update(due_at=after(-60))
    transport.chunks.clear()
    transport.refused["slow"] = "there is no such queue"
    assert Relay(transport=transport, batch_size=2).drain() == 8
    assert len(transport.ids) == 4


@pytest.mark.django_db
def test_chunk_that_is_only_given_back_is_due_at_once() -> None:
    """An inline relay that is to stop hands back what it has not begun."""
    on_happened(nothing)
    transport = Recorder()
    transport.refused["default"] = ""
    happen()
    relay = Relay(transport=transport)
    relay.fan_out()
    assert seconds_until(only_delivery().due_at) <= 0
    assert only_delivery().error_text == ""
    assert relay.push_due() == 0


# In the relay's own process


@pytest.mark.django_db(transaction=True)
def test_inline_relay_runs_the_subscribers_and_what_they_cause() -> None:
    def subscriber(seen: Event[Any]) -> None:
        Effect.objects.create(subscriber="t", event_id=seen.id, attempt=seen.attempt)
        if seen.data["number"] < 3:
            publish(HAPPENED, {"number": seen.data["number"] + 1})

    on_happened(subscriber)
    happen()
    Relay(transport=InlineTransport()).drain()
    assert statuses() == ["succeeded"] * 4
    assert Effect.objects.count() == 4


@pytest.mark.django_db
def test_relay_has_rq_for_its_transport_unless_told_otherwise(settings: Any) -> None:
    settings.EDA_DJANGO = {"BATCH_SIZE": 7, "POLL_INTERVAL": 2.5}
    relay = Relay()
    assert isinstance(relay.transport, RqTransport)
    assert (relay.batch_size, relay.poll_interval) == (7, 2.5)
