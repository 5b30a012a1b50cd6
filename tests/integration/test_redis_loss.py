"""Redis is disposable: emptied, killed, away for a while, or never emptied by a worker."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from eda_django import dispatch
from eda_django.models import Delivery, Status
from example_project.demo.redis_server import RedisServer
from tests.integration import ordering
from tests.integration.ordering import SUBSCRIBERS, place_notes, place_orders
from tests.integration.processes import Process, Processes
from tests.integration.servers import queue_at
from tests.relaying import row_locks
from tests.waiting import eventually

pytestmark = pytest.mark.processes

# Short, so that the relay soon asks what became of a claim.
LEASE = 0.5


class Site:
    """A relay and workers around a Redis of their own, which may be killed."""

    def __init__(self, processes: Processes, server: RedisServer) -> None:
        self._processes = processes
        self.server = server

    def relay(self) -> Process:
        process = self._processes.relay(lease=LEASE, redis_port=self.server.port)
        process.says("relay started")
        return process

    def worker(self, *queues: str, kind: str = "rq.SimpleWorker") -> Process:
        return self._processes.worker(*queues, kind=kind, redis_port=self.server.port)

    @property
    def redis(self) -> Any:
        return redis.Redis.from_url(self.server.url)

    def jobs(self, queue: str = "default") -> int:
        return int(self.redis.llen(f"rq:queue:{queue}"))

    def asked(self) -> int:
        """Return how often this Redis was asked whether a job is in its queue."""
        return int(self.redis.info("commandstats").get("cmdstat_lpos", {}).get("calls", 0))


@pytest.fixture
def site(processes: Processes, tmp_path: Path, settings: Any) -> Iterator[Site]:
    with RedisServer(tmp_path / "redis") as server:
        settings.RQ_QUEUES = {name: queue_at(server.port) for name in settings.RQ_QUEUES}
        yield Site(processes, server)
        processes.end()
        dispatch.doorbell.flush(1.0)


def test_flushall_with_queued_deliveries_loses_none(site: Site) -> None:
    """G2: and what was only lost on the way costs no attempt."""
    site.relay()
    placed = place_orders(30)
    total = len(placed) * len(SUBSCRIBERS)
    eventually(lambda: ordering.count(Status.QUEUED) == total and site.jobs("slow"))
    site.redis.flushall()
    site.worker("fast", "slow")
    eventually(lambda: ordering.settled(total))
    assert ordering.effects() == ordering.expected_notes(placed)
    others = Delivery.objects.exclude(subscriber="testapp.bill")
    assert set(others.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}


def reached(successes: int) -> bool:
    return ordering.count(Status.SUCCEEDED) >= successes


def test_flushall_while_subscribers_run_doubles_none(site: Site) -> None:
    """G2, G3."""
    site.relay()
    for _ in range(2):
        site.worker("fast", "slow")
    placed = place_orders(60)
    total = len(placed) * len(SUBSCRIBERS)
    for share in (10, 40, 80):
        eventually(partial(reached, share))
        site.redis.flushall()
    eventually(lambda: ordering.settled(total))
    assert ordering.statuses() == {Status.SUCCEEDED: total}
    assert ordering.effects() == ordering.expected_notes(placed)


def test_relay_outlives_a_redis_that_is_killed_and_comes_back(site: Site) -> None:
    """G2: with one clear line when it goes, and one when it is back."""
    relay = site.relay()
    place_notes("")
    eventually(lambda: ordering.count(Status.QUEUED) == 1)
    site.server.kill()
    place_notes("", "")
    relay.says("relay has lost its transport")
    site.server.start()
    relay.says("relay works again")
    site.worker("default")
    eventually(lambda: ordering.settled(3))
    # Trying in vain has burned no attempt.
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
    assert relay.text.count("relay has lost its transport") == 1
    assert "Traceback" not in relay.text
    assert relay.stop() == 0


def test_queue_without_a_worker_gets_no_second_copy_of_a_job(site: Site) -> None:
    """G7: over several leases, after each of which the relay asks."""
    site.relay()
    place_notes(*[""] * 10)
    eventually(lambda: ordering.count(Status.QUEUED) == 10 and site.jobs())
    jobs, tokens = site.jobs(), claims()
    eventually(lambda: site.asked() >= 4 * jobs)
    assert site.jobs() == jobs
    assert claims() == tokens
    site.worker("default")
    eventually(lambda: ordering.settled(10))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}


def claims() -> dict[int, UUID | None]:
    """Return the claim of each delivery."""
    return dict(Delivery.objects.values_list("pk", "token"))


def test_queue_slower_than_the_lease_runs_everything_once(site: Site) -> None:
    """G7: a wait longer than the lease must not take deliveries back for ever."""
    site.relay()
    place_notes(*["sleep:0.4"] * 8)
    site.worker("default")
    eventually(lambda: ordering.settled(8))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
    assert ordering.effects().total() == 8


@row_locks
def test_queue_whose_worker_is_busy_gets_no_second_copy_of_a_job(
    site: Site, tmp_path: Path
) -> None:
    """G7: neither of what waits behind it, nor of what it runs."""
    site.relay()
    held, *_ = place_notes(f"hold:{tmp_path}", *[""] * 7)
    site.worker("default")
    eventually((tmp_path / f"{held}").exists)
    # Four chunks, of which one runs.
    eventually(lambda: site.jobs() == 3)
    asked, tokens = site.asked(), claims()
    eventually(lambda: site.asked() >= asked + 4 * 3)
    assert (site.jobs(), claims()) == (3, tokens)
    (tmp_path / "go").touch()
    eventually(lambda: ordering.settled(8))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
