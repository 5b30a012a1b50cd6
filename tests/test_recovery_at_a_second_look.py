"""A worker is taken for lost at a second look: at one, its subscriber may just have failed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from eda_django import Discard, Event, Retry, RetryLater
from eda_django.consumer import ChunkRun
from eda_django.execution import Execution
from eda_django.models import Attempt, Delivery
from eda_django.models.clock import after
from eda_django.recovery import GRACE
from eda_django.relay import Relay
from tests.recovering import attempts, die_at, one_chunk
from tests.relay.standing_in import Clock
from tests.relaying import (
    Recorder,
    Statements,
    in_threads,
    lapse_leases,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    seconds_until,
    statuses,
)


def lost(count: int = 1, **options: Any) -> tuple[Relay, Clock]:
    """Let a worker die, and its lease end; return a relay that has not looked yet."""
    transport, clock = Recorder(), Clock()
    die_at(one_chunk(count, transport, **options), 0)
    lapse_leases()
    return Relay(transport=transport, clock=clock), clock


def run_beside(relay: Relay, fail: Callable[[Event[Any]], None], **options: Any) -> ChunkRun:
    """Run a slow subscriber that fails, and a turn of the relay before that is recorded."""
    on_happened(fail, **options)
    (chunk,) = relayed().chunks

    class Beside(ChunkRun):
        """The run of a worker that is slow in between."""

        def _record(self, *args: Any) -> int:
            in_threads(relay.turn)
            return super()._record(*args)

    run = Beside(chunk.token, using="default")
    run.run(chunk.delivery_ids)
    return run


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Execution, "lease", -1.0)


@pytest.mark.usefixtures("_slow")
@pytest.mark.django_db(transaction=True)
def test_slow_subscriber_that_defers_burns_no_attempt() -> None:
    """G4: though a relay comes between its rollback and the record of it."""

    def later(seen: Event[Any]) -> None:
        raise RetryLater(60)

    relay = Relay(transport=Recorder())
    run_beside(relay, later, retry=Retry(max_attempts=1))
    relay.turn()
    row = only_delivery()
    assert (row.status, row.attempts, row.isolated) == ("pending", 0, False)
    assert row.error_class == "eda_django.exceptions.RetryLater"
    assert 50 < seconds_until(row.due_at) <= 60
    assert not Attempt.objects.exists()


@pytest.mark.usefixtures("_slow")
@pytest.mark.django_db(transaction=True)
def test_slow_subscriber_that_drops_its_delivery_is_obeyed() -> None:
    """G4."""

    def drop(seen: Event[Any]) -> None:
        raise Discard("too late")

    run_beside(Relay(transport=Recorder()), drop)
    row = only_delivery()
    assert (row.status, row.isolated, row.error_text) == ("discarded", False, "too late")
    assert not Attempt.objects.exists()


@pytest.mark.usefixtures("_slow")
@pytest.mark.django_db(transaction=True)
def test_error_of_a_slow_subscriber_is_the_one_that_is_kept() -> None:
    def fail(seen: Event[Any]) -> None:
        raise LookupError("no such order")

    run_beside(Relay(transport=Recorder()), fail)
    assert not only_delivery().isolated
    assert Attempt.objects.get().error_class == "LookupError"


@pytest.mark.django_db
def test_lost_worker_is_recorded_at_the_second_look_and_not_sooner() -> None:
    relay, clock = lost()
    # As if it were a round of its own each time.
    assert relay.lost_workers.recover() == 0
    clock.now += GRACE / 2
    assert relay.lost_workers.recover() == 0
    assert statuses() == ["running"]
    clock.now += GRACE / 2
    assert relay.lost_workers.recover() == 1
    assert statuses() == ["pending"]
    assert Attempt.objects.get().error_class == "eda_django.WorkerLost"


@pytest.mark.django_db
def test_relay_that_saw_a_free_row_looks_again_after_a_second() -> None:
    """G4: not only after POLL_INTERVAL."""
    relay, clock = lost()
    assert relay.poll() == relay.slow >= GRACE
    clock.now += relay.slow
    assert relay.poll() == 0.0
    assert statuses() == ["pending"]


@pytest.mark.django_db
def test_first_look_writes_nothing() -> None:
    relay, _ = lost(3)
    with Statements() as statements:
        assert relay.lost_workers.recover() == 0
    assert len(statements.texts) == 1


@pytest.mark.django_db
def test_another_attempt_of_the_same_delivery_is_looked_at_anew() -> None:
    relay, clock = lost()
    relay.lost_workers.recover()
    row = only_delivery()
    Delivery.objects.filter(pk=row.pk).update(attempts=row.attempts + 1)
    clock.now += GRACE
    assert relay.lost_workers.recover() == 0
    clock.now += GRACE
    assert relay.lost_workers.recover() == 1


@row_locks
@pytest.mark.django_db(transaction=True)
def test_row_that_was_locked_in_between_is_looked_at_anew() -> None:
    relay, clock = lost()
    relay.lost_workers.recover()
    clock.now += GRACE
    with transaction.atomic():
        assert Delivery.objects.lock_running(only_delivery().pk, token=only_delivery().claim)
        assert in_threads(relay.lost_workers.recover) == [0]
    clock.now += GRACE / 2
    assert relay.lost_workers.recover() == 0
    clock.now += GRACE
    assert relay.lost_workers.recover() == 1


class Pauses:
    """What a relay waits, on its own clock."""

    def __init__(self, relay: Relay, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        self._clock = clock
        monkeypatch.setattr(relay.stopping, "wait", self._wait)

    def _wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._clock.now += seconds


@pytest.mark.django_db
def test_relay_that_runs_once_waits_for_its_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """G2: where it runs by cron nobody else looks."""
    relay, clock = lost(3)
    pauses = Pauses(relay, clock, monkeypatch)
    relay.drain()
    assert pauses.seconds == [relay.slow]
    assert statuses() == ["pending", "queued", "queued"]
    assert attempts() == [1, 0, 0]


@pytest.mark.django_db
def test_relay_that_runs_once_finds_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    relay, clock = lost(3)
    Delivery.objects.update(status="running", attempts=1, lease_until=after(-1))
    relay = Relay(transport=relay.transport, clock=clock, batch_size=2)
    pauses = Pauses(relay, clock, monkeypatch)
    relay.drain()
    assert pauses.seconds == [relay.slow] * 2
    assert statuses() == ["pending"] * 3


@pytest.mark.django_db
def test_relay_that_runs_once_waits_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for long: what it saw may have gone on, or its clock stand still."""
    relay, clock = lost()
    Delivery.objects.update(lease_until=after(60))
    pauses = Pauses(relay, clock, monkeypatch)
    relay.drain()
    assert pauses.seconds == []
    lapse_leases()
    monkeypatch.setattr(relay.stopping, "wait", pauses.seconds.append)
    relay.drain()
    assert pauses.seconds == [relay.slow]
