"""Claims whose lease is over: slow, lost on the way, or dead with their worker."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, transaction

from eda_django import Event, Retry
from eda_django.chunks import Chunk
from eda_django.consumer import ChunkRun, consume
from eda_django.models import Attempt, Delivery
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relaying import (
    Recorder,
    in_threads,
    lapse_leases,
    make_due,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    seconds_until,
    statuses,
    write,
)
from tests.testapp.models import Effect


def one_chunk(count: int, transport: Recorder | None = None, **options: Any) -> Chunk:
    on_happened(write, **options)
    recorder = relayed(count, transport=transport)
    chunk = Chunk(
        token=uuid4(), subscriber="t.sub", queue="default", delivery_ids=tuple(recorder.ids)
    )
    Delivery.objects.update(token=chunk.token)
    recorder.chunks[:] = [chunk]
    return chunk


def die_at(chunk: Chunk, place: int) -> None:
    """Leave the rows as a worker does that is killed while it runs the delivery at this place."""
    for pk in chunk.delivery_ids[:place]:
        assert Delivery.objects.start(pk, token=chunk.token, lease=30.0)
        Delivery.objects.settle(
            pk, {"status": "succeeded", "lease_until": None}, token=chunk.token, then=None, lease=0
        )
    assert Delivery.objects.start(chunk.delivery_ids[place], token=chunk.token, lease=30.0)


def attempts() -> list[int]:
    return list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))


# Queued


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
    assert 20 < seconds_until(Delivery.objects.earliest("pk").lease_until) <= 30


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
    """G2: the oldest leases are renewed, so that the next ones are looked at."""
    transport = Recorder()
    on_happened(write)
    transport = relayed(12)
    transport.lost.add(transport.chunks[-1].token)
    lost = transport.chunks[-1].delivery_ids
    lapse_leases()
    for place, chunk in enumerate(transport.chunks):
        Delivery.objects.filter(token=chunk.token).update(lease_until=after(place - 100))
    relay = Relay(transport=transport, batch_size=2)
    relay.drain()
    assert sorted(transport.ids[12:]) == sorted(lost)


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
    assert Delivery.objects.extend(lapsed, lease=99.0) == 0


@row_locks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_lost", [True, False], ids=["requeue", "extend"])
def test_relay_does_not_wait_for_a_row_that_a_worker_holds(is_lost: bool) -> None:
    """G4: it holds others by then, and a worker that waits for them would lose an attempt."""
    transport = Recorder()
    on_happened(write)
    relayed(3, transport=transport)
    lapse_leases()
    if is_lost:
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
        assert pool.submit(reconcile).result(30) == len(others)
    assert statuses() == ["queued", *["pending" if is_lost else "queued"] * 2]
    assert seconds_until(Delivery.objects.get(pk=first.pk).lease_until) < 0


@pytest.mark.django_db
def test_relay_does_not_ask_all_the_time_about_what_it_can_not_change() -> None:
    clock = [0.0]
    transport = Recorder()
    chunk = one_chunk(1, transport, atomic=False)
    die_at(chunk, 0)
    relay = Relay(transport=transport, clock=lambda: clock[0])
    assert relay.poll() == pytest.approx(5.0)


# Running


@pytest.mark.django_db
def test_killed_worker_costs_one_attempt_to_what_ran_and_none_to_its_neighbours() -> None:
    """G4: whatever the place in the chunk."""
    transport = Recorder()
    chunk = one_chunk(5, transport)
    die_at(chunk, 2)
    # Only the lease of what ran: its neighbours need not wait for theirs.
    Delivery.objects.filter(status="running").update(lease_until=after(-1))
    Relay(transport=transport).drain()
    assert attempts() == [1, 1, 1, 0, 0]
    assert statuses() == ["succeeded", "succeeded", "pending", "queued", "queued"]
    lost = Delivery.objects.order_by("pk")[2]
    assert (lost.isolated, lost.error_class) == (True, "eda_django.WorkerLost")
    attempt = Attempt.objects.get()
    assert (attempt.delivery_id, attempt.number, attempt.worker) == (lost.pk, 1, "")
    assert attempt.started_at == lost.started_at
    assert set(transport.chunks[-1].delivery_ids + transport.chunks[-2].delivery_ids) == set(
        chunk.delivery_ids[3:]
    )


@pytest.mark.django_db
def test_what_ran_when_its_worker_died_runs_alone_from_then_on() -> None:
    """G4."""
    transport = Recorder()
    chunk = one_chunk(5, transport)
    die_at(chunk, 0)
    lapse_leases()
    relay = Relay(transport=transport)
    relay.drain()
    for each in transport.chunks:
        Delivery.objects.release(each.token, each.delivery_ids)
    make_due()
    transport.chunks.clear()
    relay.drain()
    alone = chunk.delivery_ids[0]
    assert [c.delivery_ids for c in transport.chunks if alone in c.delivery_ids] == [(alone,)]


@pytest.mark.django_db
def test_delivery_that_kills_every_worker_ends_as_a_dead_letter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G4: attempts are counted when they start."""
    transport = Recorder()
    chunk = one_chunk(1, transport, retry=Retry(max_attempts=3, base=0.0))
    relay = Relay(transport=transport)
    for number in (1, 2, 3):
        (chunk,) = transport.chunks
        transport.chunks.clear()
        die_at(chunk, 0)
        lapse_leases()
        relay.drain()
        assert only_delivery().attempts == number
    assert only_delivery().status == "dead"
    assert transport.chunks == []
    # In their order: one that stood first in the heap may be returned last.
    numbers = Attempt.objects.order_by("pk").values_list("number", flat=True)
    assert list(numbers) == [1, 2, 3]
    assert caplog.text.count("delivery is dead") == 1


@pytest.mark.django_db
def test_lost_worker_of_an_unknown_subscriber_never_makes_a_dead_letter() -> None:
    """G10: this code does not know how often it may be tried."""
    transport = Recorder()
    chunk = one_chunk(1, transport)
    die_at(chunk, 0)
    Delivery.objects.update(attempts=1000)
    lapse_leases()
    registry.remove("t.sub")
    Relay(transport=transport).drain()
    assert (only_delivery().status, only_delivery().attempts) == ("pending", 1000)


@row_locks
@pytest.mark.django_db(transaction=True)
def test_slow_subscriber_is_never_started_twice() -> None:
    """G3: its row is locked, and a relay that finds its lease lapsed skips it."""
    transport = Recorder()
    chunk = one_chunk(3, transport)
    registry.remove("t.sub")

    def slow(seen: Event[Any]) -> None:
        write(seen)
        in_threads(Relay(transport=transport).turn, Relay(transport=transport).turn)

    on_happened(slow)
    run = ChunkRun(chunk.token, using="default", timeout=None)
    run._lease = lambda subscription: -1.0  # type: ignore[method-assign]
    assert run.run(chunk.delivery_ids) == 3
    assert statuses() == ["succeeded"] * 3
    assert attempts() == [1, 1, 1]
    assert Effect.objects.count() == 3
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_worker_that_was_taken_for_dead_changes_nothing() -> None:
    """G3: it wakes up between its start and its lock, and finds its claim gone."""
    transport = Recorder()
    chunk = one_chunk(2, transport)

    class Paused(ChunkRun):
        """A worker that is stopped (SIGSTOP, a full swap) right after a start."""

        def _start(self, work: Any) -> bool:
            started = super()._start(work)
            lapse_leases()
            Relay(transport=transport).drain()
            return started

    assert Paused(chunk.token, using="default", timeout=None).run(chunk.delivery_ids) == 0
    assert not Effect.objects.exists()
    assert attempts() == [1, 0]
    make_due()
    Relay(transport=transport).drain()
    transport.work()
    assert statuses() == ["succeeded", "succeeded"]
    assert Effect.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_relays_record_a_lost_worker_once() -> None:
    """G12."""
    transport = Recorder()
    chunk = one_chunk(4, transport)
    die_at(chunk, 1)
    lapse_leases()
    relays = [Relay(transport=Recorder()) for _ in range(2)]

    def twice(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            relay.turn()
            relay.turn()

        return work

    in_threads(*map(twice, relays))
    assert attempts() == [1, 1, 0, 0]
    assert Attempt.objects.count() == 1
    pushed = [pk for relay in relays for pk in relay.transport.ids]  # type: ignore[attr-defined]
    assert sorted(pushed) == sorted(chunk.delivery_ids[2:])


@pytest.mark.django_db(transaction=True)
def test_worker_and_relay_at_the_same_moment_agree() -> None:
    """G3: the relay takes back lapsed claims while a worker begins with them."""
    on_happened(write)
    transport = relayed(40)
    transport.lost |= {chunk.token for chunk in transport.chunks}
    chunks = list(transport.chunks)
    lapse_leases()
    other = Recorder()
    relay = Relay(transport=other, batch_size=5)

    def work() -> None:
        for chunk in chunks:
            consume(chunk.delivery_ids, token=chunk.token.hex)

    def take_back() -> None:
        for _ in range(20):
            relay.turn()

    in_threads(work, take_back)
    with transaction.atomic():
        assert not Delivery.objects.filter(status="running").exists()
    lapse_leases()
    relay.drain()
    other.work()
    assert statuses() == ["succeeded"] * 40
    assert Effect.objects.count() == len(set(Effect.objects.values_list("event_id"))) == 40
