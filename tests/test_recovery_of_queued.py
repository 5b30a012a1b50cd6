"""Queued deliveries whose lease is over: slow, or lost on the way."""

import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connections, transaction

from eda_django.consumer import consume
from eda_django.models import Delivery
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.recovering import attempts, die_at, one_chunk
from tests.relaying import (
    Recorder,
    lapse_leases,
    on_happened,
    relayed,
    row_locks,
    seconds_until,
    statuses,
    write,
)
from tests.testapp.models import Effect


@pytest.mark.django_db
def test_chunk_that_waits_in_its_queue_is_not_pushed_again() -> None:
    """G7: a queue slower than the lease makes no duplicates."""
    transport = Recorder()
    chunk = one_chunk(3, transport)
    relay = Relay(transport=transport)
    for _ in range(5):
        lapse_leases()
        relay.drain()
    assert transport.chunks == [chunk]
    assert set(Delivery.objects.values_list("token", flat=True)) == {chunk.token}
    assert transport.asked == [{chunk.token}] * 5


@pytest.mark.django_db
def test_what_waits_behind_a_delivery_that_runs_is_not_lost() -> None:
    """G7: RQ's queue has the job no more, and its worker has the chunk."""
    transport = Recorder()
    chunk, other = one_chunk(3, transport), uuid4()
    running = chunk.delivery_ids[0]
    assert Delivery.objects.start(running, token=chunk.token, lease=30.0)
    # Another claim that is over, which the transport is asked about.
    Delivery.objects.filter(pk=chunk.delivery_ids[2]).update(token=other)
    Delivery.objects.filter(status="queued").update(lease_until=after(-1))
    transport.lost.add(chunk.token)
    Relay(transport=transport).reconcile()
    assert transport.asked == [{other}]
    held = dict(Delivery.objects.values_list("pk", "status"))
    assert held == dict(zip(chunk.delivery_ids, ["running", "queued", "pending"], strict=True))


@pytest.mark.django_db
def test_chunk_that_was_lost_on_the_way_goes_again_and_costs_no_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G2: Redis may be emptied at any time."""
    transport = Recorder()
    chunk = one_chunk(3, transport)
    transport.lost.add(chunk.token)
    lapse_leases()
    with caplog.at_level(logging.INFO, "eda_django"):
        Relay(transport=transport).drain()
    assert "deliveries were lost on the way and go again count=3" in caplog.text
    assert attempts() == [0, 0, 0]
    assert consume(chunk.delivery_ids, token=chunk.token.hex) == 0
    assert transport.work() == 3
    assert Effect.objects.count() == 3


@pytest.mark.django_db
def test_lease_that_holds_is_not_asked_about() -> None:
    transport = Recorder()
    one_chunk(1, transport)
    assert Relay(transport=transport).poll() > 0
    assert transport.asked == []


@pytest.mark.django_db
def test_relay_that_died_before_its_push_is_made_good_for() -> None:
    """G2: claim, COMMIT, kill -9."""
    on_happened(write)
    transport = relayed(2)
    lost, transport.chunks = transport.chunks, []
    lapse_leases()
    Relay(transport=transport).drain()
    assert sorted(transport.ids) == sorted(pk for chunk in lost for pk in chunk.delivery_ids)
    assert transport.work() == 2


@pytest.mark.django_db
def test_what_is_slow_at_the_head_does_not_hide_what_is_lost_behind_it() -> None:
    """G2: a round goes on where it was, so that all are asked about."""
    transport = Recorder()
    on_happened(write)
    transport = relayed(24)
    transport.lost.add(transport.chunks[-1].token)
    lost = transport.chunks[-1].delivery_ids
    lapse_leases()
    for place, chunk in enumerate(transport.chunks):
        Delivery.objects.filter(token=chunk.token).update(lease_until=after(place - 100))
    relay = Relay(transport=transport, batch_size=1)
    relay.drain()
    assert len(transport.asked) == 2
    assert sorted(transport.ids[24:]) == sorted(lost)


@pytest.mark.django_db
def test_claims_of_a_worker_that_is_busy_are_left_alone() -> None:
    """The job is popped, so RQ does not know it any more; the delivery that runs vouches for it."""
    transport = Recorder()
    chunk = one_chunk(3, transport)
    die_at(chunk, 0)
    Delivery.objects.filter(status="queued").update(lease_until=after(-1))
    transport.lost.add(chunk.token)
    Relay(transport=transport).drain()
    assert statuses() == ["running", "queued", "queued"]
    assert transport.asked == [set()]


@pytest.mark.django_db
def test_claim_that_was_made_anew_meanwhile_is_not_touched() -> None:
    """Between the look and the change, another relay may have pushed the delivery again."""
    on_happened(write)
    relayed(2)
    lapse_leases()
    lapsed = Delivery.objects.lapsed_queued(10)
    other = uuid4()
    Delivery.objects.filter(pk=lapsed[0].pk).update(token=other, lease_until=after(20))
    assert Delivery.objects.requeue(lapsed) == 1
    kept = Delivery.objects.get(pk=lapsed[0].pk)
    assert (kept.status, kept.token) == ("queued", other)


@row_locks
@pytest.mark.django_db(transaction=True)
def test_relay_does_not_wait_for_a_row_that_a_worker_holds() -> None:
    """G4: it holds others by then, and a worker that waits for them would lose an attempt."""
    transport = Recorder()
    on_happened(write)
    relayed(3, transport=transport)
    lapse_leases()
    transport.lost.update(chunk.token for chunk in transport.chunks)
    first, *others = Delivery.objects.order_by("pk")

    def reconcile() -> int:
        try:
            return Relay(transport=transport).reconcile()
        finally:
            connections.close_all()

    # The pool ends last: a relay that does wait goes on when the lock is gone.
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Delivery.objects.select_for_update().get(pk=first.pk)
        assert pool.submit(reconcile).result(30) == 1 + len(others)
    assert statuses() == ["queued", "pending", "pending"]
    assert seconds_until(Delivery.objects.get(pk=first.pk).lease_until) < 0


@pytest.mark.django_db
def test_relay_does_not_ask_all_the_time_about_what_it_can_not_change() -> None:
    clock = [0.0]
    transport = Recorder()
    chunk = one_chunk(1, transport, atomic=False)
    die_at(chunk, 0)
    relay = Relay(transport=transport, clock=lambda: clock[0])
    assert relay.poll() == pytest.approx(5.0)
