"""Several relays share the work."""

from collections.abc import Callable

import pytest
from django.db import transaction

from eda_django.models import Delivery, OutboxEvent
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import Recorder, happen, in_threads, on_happened, relayed, row_locks


@pytest.mark.django_db(transaction=True)
def test_two_relays_fan_out_each_event_once() -> None:
    """G12, with 600 events."""
    on_happened(nothing, name="t.one")
    on_happened(nothing, name="t.two")
    happen(600)
    transports = Recorder(), Recorder()
    relays = [Relay(transport=transport, batch_size=50) for transport in transports]

    def until_done(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            while OutboxEvent.objects.fresh().exists():
                relay.turn()

        return work

    in_threads(*map(until_done, relays))
    pushed = transports[0].ids + transports[1].ids
    assert len(pushed) == len(set(pushed)) == Delivery.objects.count() == 1200


@pytest.mark.django_db(transaction=True)
def test_two_relays_push_each_retry_once() -> None:
    """G12: after an outage both find the same deliveries due."""
    on_happened(nothing)
    transport = relayed(300)
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    transports = Recorder(), Recorder()
    relays = [Relay(transport=each, batch_size=20) for each in transports]

    def until_done(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            while Delivery.objects.due().exists():
                relay.turn()

        return work

    in_threads(*map(until_done, relays))
    pushed = transports[0].ids + transports[1].ids
    assert len(pushed) == len(set(pushed)) == 300


@row_locks
@pytest.mark.django_db(transaction=True)
def test_relay_skips_what_another_has_locked_and_sleeps_a_little() -> None:
    """G12: and does not busily ask for it."""
    on_happened(nothing)
    happen(3)
    chunk = relayed(0).chunks[0]
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    happen(2)
    with transaction.atomic():
        list(OutboxEvent.objects.select_for_update())
        list(Delivery.objects.select_for_update())
        transport = Recorder()
        (slept,) = in_threads(Relay(transport=transport).turn)
    assert transport.chunks == []
    assert slept == pytest.approx(0.1)
