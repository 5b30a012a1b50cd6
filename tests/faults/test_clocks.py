"""Hosts whose clocks are an hour wrong, either way: leases and due times know one clock only."""

import pytest

from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.models.clock import after
from tests.faults import outcome
from tests.faults.children import Children
from tests.faults.points import FAILED, LOST
from tests.integration import ordering
from tests.relaying import lapse_leases
from tests.waiting import eventually

pytestmark = pytest.mark.processes

HOUR = 3600.0
KIND = "faults.happened"
hosts = pytest.mark.parametrize(
    ("publisher", "relay", "worker"),
    [(-HOUR, HOUR, -HOUR), (HOUR, -HOUR, HOUR)],
    ids=["relay ahead", "relay behind"],
)


def publish(children: Children, clock: float, kind: str, *behaviours: str) -> None:
    children.world["clock"] = clock
    assert children.publish(kind, *behaviours).ends() == 0


def start_relay(children: Children, clock: float) -> None:
    children.world["clock"] = clock
    children.relay()


def start_worker(children: Children, clock: float, at: str = "") -> None:
    children.world["clock"] = clock
    worker = children.worker(*outcome.QUEUES, at=at)
    if at:
        worker.dies()


@hosts
def test_leases_and_retries_go_by_the_clock_of_the_database(
    children: Children, publisher: float, relay: float, worker: float
) -> None:
    """G11: nothing lapses an hour too early, and nothing waits an hour too long."""
    publish(children, publisher, KIND, "", "fail", "")
    start_relay(children, relay)
    eventually(lambda: ordering.statuses() == {Status.QUEUED: 6})
    assert until_lapse(children.lease) == 6
    tokens = set(Delivery.objects.values_list("token", flat=True))
    start_worker(children, worker)
    outcome.check(KIND, 3, failed={2: FAILED})
    # All of them ran under their first claim, but for the one that failed.
    others = Delivery.objects.filter(attempts=1)
    assert set(others.values_list("token", flat=True)) < tokens
    for row in Delivery.objects.exclude(finished_at=None):
        assert row.started_at
        assert row.finished_at
        assert row.event.relayed_at
        assert row.event.relayed_at <= row.started_at <= row.finished_at


@hosts
def test_worker_that_dies_is_missed_after_its_lease_by_the_clock_of_the_database(
    children: Children, publisher: float, relay: float, worker: float
) -> None:
    """G11: neither at once, nor an hour later."""
    publish(children, publisher, "faults.bare", "")
    start_relay(children, relay)
    start_worker(children, worker, at="after write")
    # Its lease, and the minute that it may take.
    assert until_lapse(children.lease + 60) == 1
    lapse_leases()
    start_worker(children, worker)
    outcome.check("faults.bare", 1, failed={1: LOST}, doubled=[(1, "first")], left={"started": 1})


@hosts
def test_event_that_nobody_knows_yet_is_looked_at_again_after_a_minute(
    children: Children, publisher: float, relay: float, worker: float
) -> None:
    """G10, G11: a fresh one, also if the clocks say that it is as old as two hours."""
    publish(children, publisher, "faults.unheard_of", "")
    start_relay(children, relay)
    waiting = OutboxEvent.objects.set_aside()
    eventually(lambda: waiting.exists())
    assert waiting.filter(available_at__gt=after(0), available_at__lte=after(60)).exists()


def until_lapse(seconds: float) -> int:
    """Return how many leases have nearly so many seconds left, by the database's clock."""
    rows = Delivery.objects.filter(lease_until__gt=after(seconds - 120))
    return rows.filter(lease_until__lte=after(seconds)).count()
