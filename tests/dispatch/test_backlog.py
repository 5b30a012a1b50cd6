"""How far behind a queue is: known from its lengths alone, and only while somebody works on it."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from eda_django.dispatch import RqTransport
from eda_django.dispatch.backlog import OVERDUE, Backlog
from tests.dispatch.queues import a_chunk, push
from tests.relay.standing_in import Clock


class Queue:
    """A queue that is filled and emptied by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.backlog = Backlog(self.clock)
        self.length = 0

    def pushed(self, jobs: int = 1, *, taken: int = 0, after: float = 0.0) -> float:
        """Let jobs be taken, then push some; return the seconds of work that wait, if known."""
        self.clock.now += after
        self.length += jobs - taken
        self.backlog.note("q", jobs=jobs, length=self.length)
        return self.backlog.seconds().get("q", 0.0)


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_queue_that_is_empty_before_a_push_is_not_behind(queue: Queue) -> None:
    assert queue.pushed(3) == 0
    assert queue.pushed(3, taken=3, after=0.1) == 0


def test_pace_is_that_of_all_workers_and_says_when_the_queue_is_empty(queue: Queue) -> None:
    queue.pushed(4)
    # Two in a tenth of a second: three more need 0.15.
    assert queue.pushed(1, taken=2, after=0.1) == pytest.approx(0.15)
    queue.clock.now += 0.1
    assert queue.backlog.seconds()["q"] == pytest.approx(0.05)
    queue.clock.now += 0.06
    assert queue.backlog.seconds() == {}


def test_pace_stays_known_between_two_jobs_and_grows_old(queue: Queue) -> None:
    queue.pushed(4)
    queue.pushed(0, taken=1, after=0.1)
    assert queue.pushed(1, after=0.05) == pytest.approx(0.4)
    # The second is measured from the first, and not from the last push.
    assert queue.pushed(1, taken=1, after=0.05) == pytest.approx(0.4)
    assert queue.pushed(0, after=0.09 * OVERDUE) == pytest.approx(0.4)
    assert queue.pushed(0, after=0.04) == 0


def test_queue_that_nobody_works_on_is_not_behind(queue: Queue) -> None:
    for _ in range(5):
        assert queue.pushed(1, after=1.0) == 0


def test_queue_that_others_fill_too_is_reckoned_anew(queue: Queue) -> None:
    queue.pushed(2)
    queue.length += 5
    assert queue.pushed(1, after=0.1) == 0
    assert queue.pushed(0, taken=4, after=0.1) == pytest.approx(0.1)


def test_queues_are_told_apart() -> None:
    clock = Clock()
    backlog = Backlog(clock)
    for name in ("slow", "quick"):
        backlog.note(name, jobs=2, length=2)
    clock.now += 0.1
    backlog.note("slow", jobs=1, length=2)
    backlog.note("quick", jobs=1, length=1)
    assert set(backlog.seconds()) == {"slow"}


def test_transport_reads_the_lengths_after_its_pushes(redis_client: Any) -> None:
    clock = Clock()
    transport = RqTransport(clock=clock)
    push(*[a_chunk("fast") for _ in range(3)], a_chunk("slow"), transport=transport)
    assert transport.backlog() == {}
    # A worker takes one.
    redis_client.lpop("rq:queue:fast")
    clock.now += 0.2
    push(a_chunk("fast"), a_chunk("slow"), transport=transport)
    assert transport.backlog() == {"fast": pytest.approx(0.6)}


def test_push_that_arrived_counts_whatever_becomes_of_the_length(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G7: what is in the queue is not given back."""

    def away(*_: Any) -> int:
        raise RedisError("gone in between")

    monkeypatch.setattr(Redis, "llen", away)
    transport = RqTransport()
    assert push(a_chunk("fast"), transport=transport) == {}
    assert transport.backlog() == {}
