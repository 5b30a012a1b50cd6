"""Processes that die between two steps, at every place there is: nothing is lost, nothing doubled.

The table is in points.py. What it does not say is the same everywhere: every event arrives, every
effect is there once, and who had nothing to do with it took one attempt.
"""

from collections import Counter
from typing import Any

import django_rq
import pytest
import redis

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from tests.faults import points
from tests.faults.children import Child, Children
from tests.faults.points import EVENTS, LOST, Point
from tests.integration import ordering
from tests.integration.processes import eventually
from tests.relaying import lapse_leases
from tests.testapp.models import Effect

pytestmark = pytest.mark.processes

QUEUES = ("default", "slow")
NOTES = {
    "faults.happened": (
        ("faults.pair", "first"),
        ("faults.pair", "second"),
        ("faults.bystander", "only"),
    ),
    "faults.bare": (("faults.bare", "first"), ("faults.bare", "second")),
    "faults.hooked": (("faults.hooked", "written"), ("faults.hooked", "hook")),
}


class Site:
    """One relay and one worker, of which one is to die."""

    def __init__(self, children: Children, client: redis.Redis, point: Point) -> None:
        self.children, self.redis, self.point = children, client, point

    def publish(self, *, dies: str = "") -> None:
        behaviours = ["", self.point.behave, *[""] * (EVENTS - 2)]
        child = self.children.publish(self.point.kind, *behaviours, dies=dies)
        if dies:
            child.dies()
        else:
            assert child.ends() == 0

    def worker(self, *, dies: str = "") -> Child:
        queues = self.point.queues if dies else QUEUES
        return self.children.worker(*queues, kind=self.point.worker, dies=dies)

    def come_to(self, given: str) -> None:
        """Bring about what must have happened before."""
        self.publish()
        if given == "published":
            return
        assert self.children.relay("--once").ends() == 0
        if given == "emptied":
            self.redis.flushall()
        elif given == "given back":
            for delivery in Delivery.objects.all():
                Delivery.objects.release(delivery.claim, [delivery.pk])
            self.redis.flushall()
        elif given == "worker lost":
            self.worker(dies="before write #3").dies()
        else:
            assert given == "queued"
        lapse_leases()

    def check_what_stands(self) -> None:
        """Compare with what the point says must be there at the moment of the death."""
        if self.point.then is not None:
            assert ordering.statuses() == self.point.then
        if self.point.jobs is not None:
            assert sum(len(queue.job_ids) for queue in queues()) == self.point.jobs

    def recover(self, *, worker: bool = True) -> None:
        """Let a lease pass; run what a site runs until all is done and no job is in a queue."""
        lapse_leases()
        self.children.relay(*self.point.words)
        if worker:
            self.worker()
        total = EVENTS * len({subscriber for subscriber, _ in NOTES[self.point.kind]})
        eventually(lambda: ordering.settled(total))
        eventually(lambda: not any(queue.job_ids for queue in queues()))
        eventually(lambda: jobs_left() == self.point.left)

    def check_the_end(self) -> None:
        assert OutboxEvent.objects.count() == EVENTS
        assert not OutboxEvent.objects.filter(relayed_at=None).exists()
        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
        assert effects() == self.expected_effects()
        assert attempts() == dict.fromkeys(self.point.failed, 2)
        assert failures() == {number: (1, kind) for number, kind in self.point.failed.items()}
        assert isolated() == {n for n, kind in self.point.failed.items() if kind == LOST}

    def expected_effects(self) -> Counter[tuple[str, int, str]]:
        subscribers = {note: name for name, note in NOTES[self.point.kind]}
        expected = Counter(
            (subscriber, number, note)
            for number in range(1, EVENTS + 1)
            for subscriber, note in NOTES[self.point.kind]
        )
        expected.update((subscribers[note], n, note) for n, note in self.point.doubled)
        expected.subtract((subscribers[note], n, note) for n, note in self.point.missing)
        return +expected


@pytest.fixture
def site(children: Children, redis_client: redis.Redis, point: Point) -> Site:
    return Site(children, redis_client, point)


def table(rows: tuple[Point, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("point", rows, ids=lambda point: point.name)


@table(points.PUBLISHER[:1])
def test_publisher_that_dies_before_its_commit_leaves_nothing(site: Site, point: Point) -> None:
    """G1."""
    site.publish(dies=point.dies)
    assert not OutboxEvent.objects.exists()
    assert site.children.relay("--once").ends() == 0
    assert ordering.statuses() == {}


@table(points.PUBLISHER[1:])
def test_publisher_that_dies_before_it_rings_loses_nothing(site: Site, point: Point) -> None:
    """G2."""
    site.publish(dies=point.dies)
    assert OutboxEvent.objects.count() == EVENTS
    assert not site.redis.keys("*bell*")
    site.recover()
    site.check_the_end()


@table(points.RELAY)
def test_relay_that_dies_loses_and_doubles_nothing(site: Site, point: Point) -> None:
    """G2, G3, G7."""
    site.come_to(point.given)
    site.children.relay(*point.words, dies=point.dies).dies()
    site.check_what_stands()
    site.recover(worker=not point.words)
    site.check_the_end()


@table(points.WORKER)
def test_worker_that_dies_loses_and_doubles_nothing(site: Site, point: Point) -> None:
    """G2, G3, G4."""
    site.come_to("queued")
    worker = site.worker(dies=point.dies)
    worker.dies()
    if worker.is_running:
        # A work horse's worker lives on. What it does with the other chunks comes to an end first.
        eventually(lambda: jobs_left() == point.left)
    site.check_what_stands()
    site.recover(worker=not worker.is_running)
    site.check_the_end()


def queues() -> list[Any]:
    return [django_rq.get_queue(name) for name in QUEUES]


def jobs_left() -> dict[str, int]:
    """Return what RQ still knows of jobs: how many, and where."""
    found: Counter[str] = Counter()
    known: set[str] = set()
    for queue in queues():
        places = {
            "queue": queue.job_ids,
            "intermediate": queue.intermediate_queue.get_job_ids(),
            "started": queue.started_job_registry.get_job_ids(cleanup=False),
            "failed": queue.failed_job_registry.get_job_ids(cleanup=False),
        }
        for place, ids in places.items():
            found[place] += len(ids)
            known.update(ids)
    keys = queue.connection.keys("rq:job:eda-*")
    found["nowhere"] = len({key.decode().split(":")[2] for key in keys} - known)
    return dict(+found)


def numbers() -> dict[int, int]:
    """Return the number of each event, by its primary key."""
    keys = OutboxEvent.objects.order_by("pk").values_list("pk", flat=True)
    return {pk: number for number, pk in enumerate(keys, 1)}


def effects() -> Counter[tuple[str, int, str]]:
    ids = OutboxEvent.objects.order_by("pk").values_list("event_id", flat=True)
    number = {event_id: n for n, event_id in enumerate(ids, 1)}
    rows = Effect.objects.values_list("subscriber", "event_id", "note")
    return Counter((subscriber, number[event], note) for subscriber, event, note in rows)


def attempts() -> dict[int, int]:
    """Return the attempts of every delivery that took another number of them than one."""
    rows = Delivery.objects.exclude(attempts=1).values_list("event_id", "attempts")
    return {numbers()[pk]: attempts for pk, attempts in rows}


def failures() -> dict[int, tuple[int, str]]:
    """Return number and class of every attempt that is recorded as failed, by its event."""
    rows = Attempt.objects.values_list("delivery__event_id", "number", "error_class")
    found = {numbers()[pk]: (number, kind) for pk, number, kind in rows}
    assert len(found) == len(rows)
    return found


def isolated() -> set[int]:
    rows = Delivery.objects.filter(isolated=True).values_list("event_id", flat=True)
    return {numbers()[pk] for pk in rows}
