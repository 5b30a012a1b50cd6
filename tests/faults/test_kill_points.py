"""Processes that die between two steps, at every place there is: nothing is lost, nothing doubled.

The table is in relay_points.py and worker_points.py. What it does not say is the same everywhere:
every event arrives, every effect is there once, and who had nothing to do with it took one attempt.
"""

import pytest
import redis

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.models.clock import after
from tests.docs.pages import DOCS, rows, section
from tests.faults import outcome
from tests.faults.children import Child, Children
from tests.faults.points import ALL, EVENTS, LOST, Point
from tests.faults.publishing import publish
from tests.faults.relay_points import PRUNE, PUBLISHER, RELAY
from tests.faults.worker_points import WORKER
from tests.integration import ordering
from tests.relaying import lapse_leases
from tests.waiting import eventually

pytestmark = pytest.mark.processes

YEAR = 365 * 86_400.0


class Site:
    """One relay and one worker, of which one is to die."""

    def __init__(self, children: Children, client: redis.Redis, point: Point) -> None:
        self.children, self.redis, self.point = children, client, point

    def publish(self, *, dies: str = "") -> None:
        behaviours = ["", self.point.behave, *[""] * (EVENTS - 2)]
        if dies:
            self.children.publish(self.point.kind, *behaviours, at=dies).dies()
        else:
            publish(self.point.kind, *behaviours)

    def worker(self, *, dies: str = "") -> Child:
        queues = self.point.queues if dies else outcome.QUEUES
        return self.children.worker(*queues, kind=self.point.worker, at=dies)

    def come_to(self, given: str) -> None:
        """Bring about what must have happened before."""
        self.publish()
        if given == "behind":
            # One of the two queues: what comes for it is gathered, beside what is pushed at once.
            self.children.world["behind"] = {"default": 50}
        if given in ("published", "behind"):
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
            assert sum(len(queue.job_ids) for queue in outcome.queues()) == self.point.jobs

    def recover(self, *, worker: bool = True) -> None:
        """Let a lease pass; run what a site runs until all is done and no job is in a queue."""
        lapse_leases()
        if worker:
            self.check_for_second_jobs()
        self.children.relay(*self.point.words)
        if worker:
            self.worker()
        total = EVENTS * outcome.subscribers(self.point.kind)
        eventually(lambda: ordering.settled(total))
        eventually(lambda: not any(queue.job_ids for queue in outcome.queues()))
        eventually(lambda: outcome.jobs_left() == self.point.left)

    def check_for_second_jobs(self) -> None:
        """Before anything takes one, there is one job for each delivery.

        Also when a relay has been through, has asked what became of every claim, and has ended: a
        second job that comes later than the first would not be seen otherwise.
        """
        eventually(self.each_waits_after_a_relay, "one job for each delivery")
        lapse_leases()
        assert self.each_waits_after_a_relay(), outcome.pushed()

    def each_waits_after_a_relay(self) -> bool:
        assert self.children.relay("--once").ends() == 0
        return outcome.each_waits_in_one_job()

    def check_the_end(self) -> None:
        point = self.point
        assert OutboxEvent.objects.count() == EVENTS
        assert not OutboxEvent.objects.filter(relayed_at=None).exists()
        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
        assert outcome.effects() == outcome.expected_effects(
            point.kind, EVENTS, doubled=point.doubled, missing=point.missing
        )
        assert outcome.attempts() == dict.fromkeys(point.failed, 2)
        assert outcome.failures() == {number: (1, kind) for number, kind in point.failed.items()}
        assert outcome.isolated() == {n for n, kind in point.failed.items() if kind == LOST}


@pytest.fixture
def site(children: Children, redis_client: redis.Redis, point: Point) -> Site:
    return Site(children, redis_client, point)


def table(rows: tuple[Point, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("point", rows, ids=lambda point: point.name)


@table(PUBLISHER[:1])
def test_publisher_that_dies_before_its_commit_leaves_nothing(site: Site, point: Point) -> None:
    """G1."""
    site.publish(dies=point.dies)
    assert not OutboxEvent.objects.exists()
    assert site.children.relay("--once").ends() == 0
    assert ordering.statuses() == {}


@table(PUBLISHER[1:])
def test_publisher_that_dies_before_it_rings_loses_nothing(site: Site, point: Point) -> None:
    """G2."""
    site.publish(dies=point.dies)
    assert OutboxEvent.objects.count() == EVENTS
    assert not site.redis.keys("*bell*")
    site.recover()
    site.check_the_end()


@table(RELAY)
def test_relay_that_dies_loses_and_doubles_nothing(site: Site, point: Point) -> None:
    """G2, G3, G7."""
    site.come_to(point.given)
    site.children.relay(*point.words, at=point.dies).dies()
    site.check_what_stands()
    site.recover(worker=not point.words)
    site.check_the_end()


@table(PRUNE)
def test_relay_that_dies_pruning_deletes_whole_events_or_none(site: Site, point: Point) -> None:
    """G7: and nothing that is unfinished or dead."""
    site.publish()
    site.recover()
    site.children.end()
    finished, unfinished, dead = list(OutboxEvent.objects.order_by("pk")[:3])
    OutboxEvent.objects.update(time=after(-YEAR), relayed_at=after(-YEAR))
    Delivery.objects.filter(event=dead, subscriber="faults.pair").update(status=Status.DEAD)
    Delivery.objects.filter(event=unfinished, subscriber="faults.pair").update(
        status=Status.PENDING, due_at=after(YEAR)
    )
    Attempt.objects.create(
        delivery=finished.deliveries.first(), number=1, finished_at=finished.time
    )
    site.children.relay(at=point.dies).dies()
    assert (OutboxEvent.objects.count(), Delivery.objects.count(), Attempt.objects.count()) == (
        (2, 4, 0) if point.dies.endswith("after COMMIT") else (EVENTS, ALL, 1)
    )
    site.children.relay()
    eventually(lambda: OutboxEvent.objects.count() == 2)
    assert list(OutboxEvent.objects.order_by("pk")) == [unfinished, dead]
    assert ordering.statuses() == {"succeeded": 2, "pending": 1, "dead": 1}
    assert not Attempt.objects.exists()


@table(WORKER)
def test_worker_that_dies_loses_and_doubles_nothing(site: Site, point: Point) -> None:
    """G2, G3, G4."""
    site.come_to("queued")
    worker = site.worker(dies=point.dies)
    worker.dies()
    if worker.is_running:
        # A work horse's worker lives on. What it does with the other chunks comes to an end first.
        eventually(lambda: outcome.jobs_left() == point.left)
        # And it would take what the relay pushes before that can be looked at.
        worker.kill()
    site.check_what_stands()
    site.recover()
    site.check_the_end()


# Who dies at the points, and the test that plants them.
PLANTED = {
    test_publisher_that_dies_before_its_commit_leaves_nothing: PUBLISHER[:1],
    test_publisher_that_dies_before_it_rings_loses_nothing: PUBLISHER[1:],
    test_relay_that_dies_loses_and_doubles_nothing: RELAY,
    test_relay_that_dies_pruning_deletes_whole_events_or_none: PRUNE,
    test_worker_that_dies_loses_and_doubles_nothing: WORKER,
}
# What dies there is no process of ours, or does not die by a signal: other tests show it.
ELSEWHERE = {
    ("Redis", "receiving a push and answering"),
    ("Redis", "the push and the worker"),
    ("a forking worker, but not its work horse", "the subscriber's start and its end"),
    ("the connection between worker and database", "the subscriber's start and `COMMIT`"),
    (
        "nobody: an operator requeues an abandoned job in RQ while its worker lives",
        "any two of these",
    ),
    ("the database", "any two of these"),
    ("an old worker, frozen and thawed", "its lease lapsing and its waking up"),
}


@pytest.mark.once
def test_every_row_of_the_page_has_its_kill_points() -> None:
    """And names the test that plants them. That other names are those of tests, docs/ checks."""
    table = rows(section(DOCS / "explanation/guarantees.md", "If X dies between Y and Z, then …"))
    on_page = {(who, when): shown for who, when, _, shown in table}
    assert len(on_page) == len(table)
    planted = {p.row: test.__name__ for test, points in PLANTED.items() for p in points}
    assert set(on_page) == {*planted, *ELSEWHERE}
    assert [row for row, test in planted.items() if f"::{test}`" not in on_page[row]] == []
