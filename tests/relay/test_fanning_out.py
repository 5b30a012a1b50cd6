"""Fanning out: one delivery for each subscription, in few statements."""

import logging
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from eda_django import publish, subscribes
from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import (
    HAPPENED,
    Recorder,
    Statements,
    happen,
    lapse_leases,
    make_due,
    on_happened,
    only_delivery,
    relayed,
    seconds_until,
)


@pytest.mark.django_db
def test_every_subscription_that_matches_gets_one_delivery() -> None:
    """G2."""
    on_happened(nothing, name="t.one", queue="fast")
    on_happened(nothing, name="t.two")
    subscribes("t.*", name="t.pattern")(nothing)
    subscribes("u.*", name="t.unconcerned")(nothing)
    transport = relayed(2, transport=None)
    rows = Delivery.objects.values_list("subscriber", "queue", "status")
    assert Counter(rows) == {
        ("t.one", "fast", "queued"): 2,
        ("t.two", "default", "queued"): 2,
        ("t.pattern", "default", "queued"): 2,
    }
    assert sorted(transport.ids) == sorted(Delivery.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_pushed_chunk_holds_what_the_rows_say() -> None:
    """The claim in the job is the claim in the row: it is the fence of all that follows."""
    on_happened(nothing, queue="fast")
    (chunk,) = relayed().chunks
    row = only_delivery()
    assert (chunk.token, chunk.queue, chunk.subscriber) == (row.token, row.queue, row.subscriber)
    assert chunk.delivery_ids == (row.pk,)
    assert chunk.job_id == row.job_id


@pytest.mark.django_db
def test_event_is_fanned_out_once() -> None:
    on_happened(nothing)
    transport = relayed()
    Relay(transport=transport).drain()
    assert len(transport.ids) == Delivery.objects.count() == 1


@pytest.mark.django_db
def test_key_of_the_event_is_that_of_its_deliveries() -> None:
    on_happened(nothing)
    with transaction.atomic():
        publish(HAPPENED, {}, key="order-7")
    Relay(transport=Recorder()).poll()
    assert only_delivery().key == "order-7"


@pytest.mark.django_db
def test_event_that_nobody_subscribes_to_is_done() -> None:
    subscribes(HAPPENED, name="t.sub")(nothing)
    happen()
    with transaction.atomic():
        publish("testapp.order_placed", ORDER)
    for name in list(registry.names()):
        if name.startswith("testapp."):
            registry.remove(name)
    Relay(transport=Recorder()).poll()
    assert not OutboxEvent.objects.filter(relayed_at=None).exists()
    assert set(Delivery.objects.values_list("subscriber", flat=True)) == {"t.sub"}


ORDER = {
    "number": "7",
    "total": "1.50",
    "placed_at": "2026-01-01T00:00:00Z",
    "reference": "00000000-0000-4000-8000-000000000000",
}


@pytest.mark.django_db
def test_event_of_an_unknown_type_waits_in_nobodys_way(caplog: pytest.LogCaptureFixture) -> None:
    """G10: also where a pattern would match it, because newer code may know better."""
    subscribes("t.*", name="t.pattern")(nothing)
    with transaction.atomic():
        publish("t.unheard_of", {})
    subscribes("t.known", name="t.sub")(nothing)
    with transaction.atomic():
        publish("t.known", {})
    transport = Recorder()
    with caplog.at_level(logging.WARNING, "eda_django"):
        Relay(transport=transport).drain()
    assert {chunk.subscriber for chunk in transport.chunks} == {"t.pattern", "t.sub"}
    waiting = OutboxEvent.objects.get(type="t.unheard_of")
    assert waiting.relayed_at is None
    assert waiting.error == "no running code knows the event type 't.unheard_of'"
    assert 50 < seconds_until(waiting.available_at) <= 61
    assert "declare it with @event or subscribe to it by name events=1" in caplog.text


@pytest.mark.django_db
def test_relay_that_starts_with_newer_code_takes_what_waits() -> None:
    """G10: at once, not when the pause is over."""
    happen(3)
    Relay(transport=Recorder(), batch_size=2).drain()
    assert not Delivery.objects.exists()
    on_happened(nothing)
    transport = Recorder()
    Relay(transport=transport, batch_size=2).drain()
    assert len(transport.ids) == 3
    assert set(OutboxEvent.objects.values_list("error", flat=True)) == {""}


@pytest.mark.django_db
def test_unknown_type_is_tried_again_when_its_time_has_come_and_then_less_often() -> None:
    happen()
    relay = Relay(transport=Recorder())
    relay.drain()
    OutboxEvent.objects.update(time=timezone.now() - timedelta(hours=5))
    make_due()
    relay.drain()
    assert 3500 < seconds_until(OutboxEvent.objects.get().available_at) <= 3600


@pytest.mark.django_db(transaction=True)
def test_event_whose_deliveries_the_database_refuses_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G4: poison at the head is set aside with the reason, the rest goes on."""
    on_happened(nothing)
    happen(5)
    first, *_, last = OutboxEvent.objects.order_by("pk")
    for poison in (first, last):
        Delivery.objects.create(
            event=poison, subscriber="t.sub", queue="default", due_at=after(3600)
        )
    transport = Recorder()
    Relay(transport=transport).drain()
    assert len(transport.ids) == 3
    aside = OutboxEvent.objects.set_aside().order_by("pk")
    assert [row.pk for row in aside] == [first.pk, last.pk]
    for row in aside:
        assert row.error.startswith("the database refuses its deliveries: ")
        assert "\n" not in row.error
        assert seconds_until(row.available_at) > 50
    assert caplog.text.count("event was set aside") == 2


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_transport_is_used() -> None:
    """G8: new events, what was lost on the way and is due again, and the question for it."""
    on_happened(nothing)
    transport = Recorder()
    relay = Relay(transport=transport)
    happen(3)
    relay.drain()
    first = sorted(transport.ids)
    transport.lost = {chunk.token for chunk in transport.chunks}
    lapse_leases()
    relay.drain()
    assert sorted(transport.ids) == sorted(first * 2)
    assert {what for what, _ in transport.calls} == {"push", "alive", "check"}
    assert not any(is_inside for _, is_inside in transport.calls)


@pytest.mark.django_db(transaction=True)
def test_fanning_out_and_pushing_costs_the_same_for_one_event_as_for_many() -> None:
    """Statements by the batch, not by the event or the chunk."""
    on_happened(nothing, name="t.one")
    on_happened(nothing, name="t.two")
    for size in (1, 100):
        happen(size)
        relay = Relay(transport=Recorder())
        with Statements() as captured:
            assert relay.fan_out() == size
        inserts = [sql for sql in captured.texts if sql.startswith("INSERT")]
        # What is scheduled, what is fresh, relayed_at.
        assert len(captured.texts) - len(inserts) == 3
        assert len(inserts) == 1


@pytest.mark.django_db(transaction=True)
def test_turn_that_fans_out_costs_a_look_and_three_statements() -> None:
    """It looks, locks what is fresh, inserts the deliveries, and marks the events."""
    on_happened(nothing)
    relay = Relay(transport=Recorder())
    relay.turn()
    happen(3)
    with Statements() as captured:
        relay.turn()
    assert len(captured.texts) == 4


@pytest.mark.django_db(transaction=True)
def test_idle_turn_costs_one_statement() -> None:
    relay = Relay(transport=Recorder())
    relay.turn()
    with Statements() as captured:
        relay.turn()
    assert len(captured.texts) == 1


@pytest.mark.django_db
def test_turn_moves_no_more_than_its_batch() -> None:
    """G7: so that a stop is obeyed, and leases hold."""
    on_happened(nothing)
    happen(5)
    relay = Relay(transport=Recorder(), batch_size=2)
    assert [relay.poll() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert relay.poll() > 0
    assert Delivery.objects.count() == 5
