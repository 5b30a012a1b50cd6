"""Workers that are killed: nothing is lost, everything is counted, neighbours are unharmed."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from eda_django.models import Attempt, Delivery, Status
from eda_django.models.clock import DatabaseNow
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.processes import Process, Processes
from tests.offspring import descendants
from tests.relaying import lapse_running
from tests.testapp.models import Effect
from tests.waiting import eventually

pytestmark = pytest.mark.processes

# Short, so that the relay soon asks what became of a claim.
LEASE = 0.5
# Longer than a busy machine lets a worker wait between marking a delivery and locking it.
AMPLE = 3.0


def running() -> bool:
    return Delivery.objects.filter(status=Status.RUNNING).exists()


def relay(processes: Processes) -> Process:
    return processes.relay(lease=LEASE)


def test_delivery_whose_work_horse_is_killed_starts_again(processes: Processes) -> None:
    """G2, G4: the attempt counts, though its worker could not say so any more."""
    relay(processes)
    worker = processes.worker("default", kind="rq.Worker")
    place_notes("sleep:60:1")
    eventually(running)
    (horse,) = eventually(lambda: descendants(worker.pid))
    os.kill(horse, signal.SIGKILL)
    lapse_running(Delivery.objects.filter(attempts=1), until=lambda: ordering.settled(1))
    (delivery,) = Delivery.objects.all()
    assert (delivery.status, delivery.attempts) == (Status.SUCCEEDED, 2)
    assert list(Attempt.objects.values_list("number", "error_class")) == [
        (1, "eda_django.WorkerLost")
    ]
    assert worker.is_running
    assert list(Effect.objects.values_list("attempt", flat=True)) == [2]


def test_delivery_whose_whole_worker_is_killed_starts_again(processes: Processes) -> None:
    """G2: another worker takes it over after the lease."""
    relay(processes)
    first = processes.worker("default", lease=AMPLE)
    place_notes("sleep:60:1")
    eventually(running)
    first.kill()
    processes.worker("default")
    eventually(lambda: ordering.settled(1))
    (delivery,) = Delivery.objects.all()
    assert (delivery.status, delivery.attempts) == (Status.SUCCEEDED, 2)
    assert Effect.objects.count() == 1


def test_delivery_that_kills_its_workers_ends_as_a_dead_letter(processes: Processes) -> None:
    """G4: after its last attempt; its neighbours in the chunk lose none of theirs."""
    placed = place_notes(*["", "", "kill", "", "", ""] * 4)
    relay(processes)
    for _ in range(2):
        processes.worker("default", kind="rq.Worker")
    killing = Delivery.objects.filter(event__event_id__in=placed[2::6])
    lapse_running(killing, until=lambda: ordering.settled(24))
    assert ordering.statuses() == {Status.SUCCEEDED: 20, Status.DEAD: 4}
    dead = Delivery.objects.filter(status=Status.DEAD)
    assert set(dead.values_list("attempts", "isolated", "error_class")) == {
        (3, True, "eda_django.WorkerLost")
    }
    well = Delivery.objects.filter(status=Status.SUCCEEDED)
    assert set(well.values_list("attempts", "isolated")) == {(1, False)}
    assert Attempt.objects.count() == 12
    assert Effect.objects.count() == 20


def test_slow_subscriber_is_not_started_twice(processes: Processes, tmp_path: Path) -> None:
    """G3: it outlasts its lease, and its row's lock says that it lives."""
    (held,) = place_notes(f"hold:{tmp_path}")
    call_command("relay", "--once")
    processes.worker("default", lease=LEASE)
    eventually((tmp_path / f"{held}").exists)
    # Only now, when the lock is held: a busy machine may let more than the lease pass before.
    lapsed = Delivery.objects.filter(status=Status.RUNNING, lease_until__lt=DatabaseNow())
    eventually(lapsed.exists)
    relay(processes).says("relay started")
    processes.worker("default")
    others = 0
    # On SQLite the lock is the database's, and the relay waits for it.
    if connection.vendor != "sqlite":
        others = 2
        for number in range(1, 1 + others):
            place_notes("")
            eventually(partial(succeeded, number))
    assert lapsed.exists()
    (tmp_path / "go").touch()
    eventually(lambda: ordering.settled(1 + others))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
    assert Effect.objects.count() == 1 + others
    assert not Attempt.objects.exists()


def succeeded(deliveries: int) -> bool:
    return ordering.count(Status.SUCCEEDED) == deliveries
