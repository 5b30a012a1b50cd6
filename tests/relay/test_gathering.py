"""Deliveries of a queue that is behind are gathered: one job for many, where each would wait alone.

With a job for each event, a worker that forks for each job falls ever further behind.
"""

import pytest
from django.db import transaction

from eda_django import publish
from eda_django.gathering import EACH, MOST, Gathering
from eda_django.models import Delivery, Status
from eda_django.relay import Relay
from tests.relay.standing_in import Clock, nothing
from tests.relaying import HAPPENED, Recorder, happen, make_due, on_happened, seconds_until

# Jobs that wait, so many that the most is gathered.
MANY = 1000
# And that is what it would be gathered for, in seconds: longer than a test takes.
AMPLE = MANY * EACH


class TestHowLong:
    def gathering(self, **ahead: int) -> Gathering:
        self.clock = Clock()
        return Gathering(lambda: ahead, clock=self.clock)

    def test_the_longer_the_more_jobs_wait(self) -> None:
        gathering = self.gathering(few=2, many=MANY)
        waits = gathering.seconds({"few": 1, "many": 1, "idle": 1}, size=25)
        assert waits == pytest.approx({"few": 2 * EACH, "many": MOST})

    def test_what_comes_later_is_due_with_what_came_first(self) -> None:
        gathering = self.gathering(slow=MANY)
        assert gathering.seconds({"slow": 1}, size=25) == {"slow": pytest.approx(MOST)}
        self.clock.now += MOST / 4
        assert gathering.seconds({"slow": 1}, size=25) == {"slow": pytest.approx(MOST * 3 / 4)}
        self.clock.now += MOST
        assert gathering.seconds({"slow": 1}, size=25) == {"slow": pytest.approx(MOST)}

    def test_what_is_enough_for_a_job_is_not_held_back(self) -> None:
        gathering = self.gathering(slow=MANY)
        assert gathering.seconds({"slow": 25}, size=25) == {}
        assert gathering.seconds({"slow": 24}, size=25) == {"slow": pytest.approx(MOST)}

    def test_what_would_wait_behind_much_else_is_pushed_at_once(self) -> None:
        gathering = self.gathering(slow=MANY)
        gathering.is_held_up = True
        assert gathering.seconds({"slow": 1}, size=25) == {}


def patient(transport: Recorder) -> Relay:
    """Return a relay whose time to gather is over when the test says so."""
    relay = Relay(transport=transport, poll_interval=2 * AMPLE)
    relay.gathering.most = AMPLE
    return relay


def statuses(queue: str) -> list[str]:
    return list(Delivery.objects.filter(queue=queue).values_list("status", flat=True))


@pytest.mark.django_db
class TestRelay:
    @pytest.fixture(autouse=True)
    def subscriptions(self) -> None:
        for queue in ("fast", "slow"):
            on_happened(nothing, name=f"t.{queue}", queue=queue)

    @pytest.fixture
    def transport(self) -> Recorder:
        transport = Recorder()
        transport.behind = {"slow": MANY}
        return transport

    def test_gathers_for_the_queue_that_is_behind_and_for_no_other(
        self, transport: Recorder
    ) -> None:
        """G4: a slow subscriber delays none of another queue's."""
        relay = patient(transport)
        with transaction.atomic():
            publish(HAPPENED, {}, key="k-1")
        assert relay.poll() == 0
        assert [chunk.queue for chunk in transport.chunks] == ["fast"]
        (waiting,) = Delivery.objects.filter(queue="slow")
        assert (waiting.status, waiting.key, waiting.attempts) == (Status.PENDING, "k-1", 0)
        assert (waiting.token, waiting.lease_until) == (None, None)
        assert 0 < seconds_until(waiting.due_at) <= AMPLE
        # It sleeps until then, and no longer.
        assert 0 < relay.poll() <= AMPLE

    def test_what_was_gathered_becomes_one_job(self, transport: Recorder) -> None:
        relay = patient(transport)
        for _ in range(3):
            happen(1)
            relay.poll()
        make_due()
        relay.poll()
        sizes = [(chunk.queue, len(chunk.delivery_ids)) for chunk in transport.chunks]
        assert sizes == [("fast", 1)] * 3 + [("slow", 3)]

    def test_many_at_once_are_pushed_at_once_in_as_few_jobs_as_can_be(
        self, transport: Recorder
    ) -> None:
        happen(60)
        Relay(transport=transport).poll()
        sizes = {
            queue: [len(c.delivery_ids) for c in transport.chunks if c.queue == queue]
            for queue in ("fast", "slow")
        }
        assert sizes == {"fast": [15, 15, 15, 15], "slow": [50, 10]}

    def test_many_subscriptions_are_not_many_for_one_job(self, transport: Recorder) -> None:
        for number in range(50):
            on_happened(nothing, name=f"t.slow_{number}", queue="slow")
        happen(1)
        Relay(transport=transport).poll()
        assert statuses("slow") == [Status.PENDING] * 51

    def test_nothing_is_gathered_while_more_is_due_than_a_batch_takes(
        self, transport: Recorder
    ) -> None:
        """G4: it would come after all that, which may be another queue's."""
        relay = Relay(transport=transport, batch_size=4)
        happen(4)
        relay.poll()
        make_due()
        relay.poll()
        happen(1)
        relay.fan_out()
        assert statuses("slow") == [Status.QUEUED] * 5
        relay.push_due()
        happen(1)
        relay.fan_out()
        assert sorted(statuses("slow")) == [Status.PENDING] + [Status.QUEUED] * 5

    def test_a_look_that_finds_nothing_due_ends_that(self, transport: Recorder) -> None:
        """The batch may have been the last, and full by chance."""
        relay = Relay(transport=transport)
        relay.gathering.is_held_up = True
        relay.poll()
        happen(1)
        relay.poll()
        assert statuses("slow") == [Status.PENDING]

    def test_drain_leaves_nothing_behind(self, transport: Recorder) -> None:
        """G2: after `relay --once` nobody comes to push what was gathered."""
        happen(3)
        Relay(transport=transport).drain()
        assert statuses("slow") == [Status.QUEUED] * 3
