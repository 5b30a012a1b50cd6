"""A relay whose workers are behind gathers events: one job for many, where each would wait alone.

With a job for each event a worker that forks for each job falls ever further behind.
"""

import threading

import pytest

from eda_django.relay import GATHERING, Relay
from tests.relay.standing_in import nothing
from tests.relaying import Recorder, happen, on_happened

pytestmark = pytest.mark.django_db

# No worker's, and longer than any gathering.
LONG = 60.0


class Naps(threading.Event):
    """What the relay sleeps by, without the sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.slept.append(timeout or 0.0)
        return False


class Rounds(Recorder):
    """A transport that has a number of events happen each time the relay waits for more."""

    def __init__(self, *counts: int) -> None:
        super().__init__()
        self.relay = Relay(transport=self, batch_size=10)
        self.naps = self.relay.stopping = Naps()
        self._counts = iter(counts)

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        super().wait(seconds, using=using, wake=wake)
        if count := next(self._counts, 0):
            happen(count)
        else:
            self.relay.stop()
        return False

    def run(self) -> list[float]:
        """Return how long the relay gathered, each time that it did."""
        self.relay.run()
        return self.naps.slept


def subscribe(*queues: str) -> None:
    for queue in queues:
        on_happened(nothing, name=f"t.{queue}", queue=queue)


def test_relay_gathers_while_what_it_pushed_must_wait() -> None:
    subscribe("fast")
    rounds = Rounds(1, 3)
    rounds.behind = {"fast": 0.06}
    assert rounds.run() == [0.03, 0.03]
    # Three that came meanwhile are one job.
    assert [len(chunk.delivery_ids) for chunk in rounds.chunks] == [1, 3]
    # Each time it looks at everything after it, whatever has rung.
    assert rounds.slept[1:3] == [0.0, 0.0]


def test_relay_does_not_gather_for_long() -> None:
    subscribe("fast")
    rounds = Rounds(1)
    rounds.behind = {"fast": LONG}
    assert rounds.run() == [GATHERING]


def test_relay_gathers_nothing_that_an_idle_worker_could_have() -> None:
    """G4: as long as one of the queues is not behind, its workers get each event at once."""
    subscribe("fast", "slow")
    rounds = Rounds(2)
    rounds.behind = {"slow": LONG}
    assert rounds.run() == []
    sizes = {chunk.queue: len(chunk.delivery_ids) for chunk in rounds.chunks}
    assert sizes == {"fast": 1, "slow": 2}


def test_relay_does_not_gather_where_more_waits_already() -> None:
    subscribe("fast")
    rounds = Rounds(10)
    rounds.behind = {"fast": LONG}
    assert rounds.run() == []


def test_events_that_nobody_subscribes_to_are_not_gathered() -> None:
    subscribe("fast")
    rounds = Rounds(1)
    assert rounds.run() == []
