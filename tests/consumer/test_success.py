"""A chunk that runs: each delivery once, in order, and what that costs."""

from typing import Any

import pytest
from django.db import transaction

from eda_django import Event, publish, signals
from eda_django.consumer import consume
from eda_django.models import Delivery, OutboxEvent, RelayHeartbeat
from tests.consumer.running import fails_for, one_chunk, run
from tests.relaying import seconds_until, statuses
from tests.testapp.models import Effect

# Success


@pytest.mark.django_db
def test_every_delivery_of_a_chunk_runs_once_and_is_settled() -> None:
    """G3."""
    chunk = one_chunk(5)
    assert run(chunk) == 5
    assert statuses() == ["succeeded"] * 5
    for row in Delivery.objects.all():
        assert (row.attempts, row.lease_until) == (1, None)
        assert seconds_until(row.started_at) <= seconds_until(row.finished_at) + 1
    assert sorted(Effect.objects.values_list("event_id")) == sorted(
        OutboxEvent.objects.values_list("event_id")
    )


@pytest.mark.django_db
def test_deliveries_run_in_the_order_of_their_events() -> None:
    seen: list[int] = []
    chunk = one_chunk(6, lambda event: seen.append(event.data["number"]))
    consume(list(reversed(chunk.delivery_ids)), token=chunk.token.hex)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.django_db
def test_subscriber_gets_the_envelope_with_the_attempt() -> None:
    seen: list[Event[Any]] = []
    chunk = one_chunk(1, seen.append)
    Delivery.objects.update(attempts=4)
    run(chunk)
    row = OutboxEvent.objects.get()
    assert (seen[0].id, seen[0].attempt, seen[0].data) == (row.event_id, 5, {"number": 0})


@pytest.mark.django_db
def test_receivers_see_the_delivery_as_it_is_now() -> None:
    told: list[str] = []

    def receive(*, delivery: Delivery, **_: Any) -> None:
        told.append(delivery.status)

    outcomes = (signals.delivery_succeeded, signals.delivery_failed)
    for signal in outcomes:
        signal.connect(receive)
    try:
        run(one_chunk(2, fails_for(1)))
    finally:
        for signal in outcomes:
            signal.disconnect(receive)
    assert told == ["succeeded", "pending"]


@pytest.mark.django_db
def test_receiver_that_fails_changes_nothing() -> None:
    def receive(**_: Any) -> None:
        raise RuntimeError("a receiver's own")

    signals.delivery_succeeded.connect(receive)
    try:
        assert run(one_chunk(2)) == 2
    finally:
        signals.delivery_succeeded.disconnect(receive)


@pytest.mark.django_db
def test_what_a_subscriber_publishes_is_caused_by_its_event() -> None:
    def subscriber(seen: Event[Any]) -> None:
        publish("t.followed", {})

    run(one_chunk(1, subscriber))
    first, second = OutboxEvent.objects.order_by("pk")
    assert second.causation_id == first.event_id
    assert second.correlation_id == first.correlation_id
    with transaction.atomic():
        third = publish("t.unrelated", {})
    assert third.causation_id is None


@pytest.mark.django_db(transaction=True)
def test_heartbeats_are_no_business_of_the_consumer() -> None:
    """SQLite's write lock is taken with a statement that changes no row."""
    RelayHeartbeat.objects.beat("a", hostname="h", pid=1, version="1")
    before = RelayHeartbeat.objects.values().get()
    run(one_chunk(1))
    assert RelayHeartbeat.objects.values().get() == before
