"""Running deliveries whose lease is over: slow, or dead with their worker."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from eda_django import Event, Retry, recovery
from eda_django.consumer import ChunkRun, consume
from eda_django.execution import Execution
from eda_django.models import Attempt, Delivery
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.recovering import attempts, die_at, one_chunk, seen_before
from tests.relaying import (
    Recorder,
    in_threads,
    lapse_leases,
    make_due,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    statuses,
    write,
)
from tests.testapp.models import Effect


@pytest.mark.django_db
def test_killed_worker_costs_one_attempt_to_what_ran_and_none_to_its_neighbours() -> None:
    """G4: whatever the place in the chunk."""
    transport = Recorder()
    chunk = one_chunk(5, transport)
    die_at(chunk, 2)
    # Only the lease of what ran: its neighbours need not wait for theirs.
    Delivery.objects.filter(status="running").update(lease_until=after(-1))
    seen_before(Relay(transport=transport)).drain()
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
def test_neighbours_are_taken_back_as_many_at_once_as_a_statement_can_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """G2: a worker's chunk may have thousands, and many workers may die at once."""
    monkeypatch.setattr(recovery, "MAX_BATCH", 2)
    transport = Recorder()
    die_at(one_chunk(6, transport), 0)
    lapse_leases()
    relay = seen_before(Relay(transport=transport))
    with CaptureQueriesContext(connection) as captured:
        relay.lost_workers.recover()
    assert statuses() == ["pending"] * 6
    taken_back = [q["sql"] for q in captured if re.match("UPDATE .*token.* IN ", q["sql"], re.S)]
    assert len(taken_back) == 3


@pytest.mark.django_db
def test_what_ran_when_its_worker_died_runs_alone_from_then_on() -> None:
    """G4."""
    transport = Recorder()
    chunk = one_chunk(5, transport)
    die_at(chunk, 0)
    lapse_leases()
    relay = seen_before(Relay(transport=transport))
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
        seen_before(relay).drain()
        assert only_delivery().attempts == number
    assert only_delivery().status == "dead"
    assert transport.chunks == []
    # In their order: one that stood first in the heap may be returned last.
    numbers = Attempt.objects.order_by("pk").values_list("number", flat=True)
    assert list(numbers) == [1, 2, 3]
    assert Attempt.objects.latest("pk").finished_at <= only_delivery().finished_at
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
    seen_before(Relay(transport=transport)).drain()
    assert (only_delivery().status, only_delivery().attempts) == ("pending", 1000)


@row_locks
@pytest.mark.django_db(transaction=True)
def test_slow_subscriber_is_never_started_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """G3: its row is locked, and a relay that finds its lease lapsed skips it."""
    transport = Recorder()
    chunk = one_chunk(3, transport)
    registry.remove("t.sub")

    def slow(seen: Event[Any]) -> None:
        write(seen)
        in_threads(Relay(transport=transport).turn, Relay(transport=transport).turn)

    on_happened(slow)
    run = ChunkRun(chunk.token, using="default")
    monkeypatch.setattr(Execution, "lease", -1.0)
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
            seen_before(Relay(transport=transport)).drain()
            return started

    assert Paused(chunk.token, using="default").run(chunk.delivery_ids) == 0
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
    relays = [seen_before(Relay(transport=Recorder())) for _ in range(2)]

    def twice(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            relay.turn()
            relay.turn()

        return work

    in_threads(*map(twice, relays))
    # A relay passes over what another has locked, be it in vain: somebody's next turn has it.
    relays[0].turn()
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
