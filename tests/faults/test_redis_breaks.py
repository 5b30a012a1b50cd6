"""A Redis that freezes, hangs, is full, forgets a part, is emptied, reads only, or is slow.

More of what it forgets all of is in tests/integration/test_redis_loss.py.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from eda_django import dispatch
from eda_django.models import Delivery, Status
from example_project.demo.redis_server import HOST, RedisServer
from tests.faults import outcome
from tests.faults.children import Child, Children
from tests.faults.planting import Fate
from tests.integration import ordering
from tests.integration.servers import hanging_server, queue_at, slow_road
from tests.waiting import eventually

pytestmark = pytest.mark.processes

KIND = "faults.happened"
EVENTS = 9
# Each event has two deliveries, and they go in three chunks for each of the two subscribers.
ALL, CHUNKS, CHUNK = 2 * EVENTS, 6, 3
LOST = "relay has lost its transport"
BACK = "relay works again"
# Seconds that Redis has to answer, where the test waits for that.
SOON = 3.0


def use(port: int, children: Children, settings: Any) -> None:
    """Have this process, and children from now on, find Redis at this port."""
    settings.RQ_QUEUES = {
        name: {**queue, **queue_at(port)} for name, queue in settings.RQ_QUEUES.items()
    }
    children.world["redis_port"] = port


@pytest.fixture
def server(children: Children, tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    """Run a Redis of the test's own."""
    with RedisServer(tmp_path / "redis") as running:
        use(running.port, children, settings)
        yield running
        children.end()
        dispatch.doorbell.flush(1.0)


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connection:
        yield connection


def publish(children: Children, events: int = EVENTS) -> None:
    assert children.publish(KIND, *[""] * events).ends() == 0


def queued(children: Children) -> Child:
    """Publish, and have a relay push all of it; return the relay."""
    relay = children.relay()
    publish(children)
    eventually(lambda: jobs() == CHUNKS and ordering.statuses() == {Status.QUEUED: ALL})
    return relay


def jobs() -> int:
    return sum(len(queue.job_ids) for queue in outcome.queues())


def given_back(deliveries: int) -> bool:
    """Return whether so many are back, and none of them has lost an attempt."""
    rows = Delivery.objects.filter(status=Status.PENDING)
    return list(rows.values_list("attempts", "token")) == [(0, None)] * deliveries


def finish(children: Children, events: int = EVENTS, **options: Any) -> None:
    """Have workers do the rest: nothing is lost, nothing doubled, nothing is left."""
    children.worker(*outcome.QUEUES)
    outcome.check(KIND, events, **options)


def check_outage(relay: Child) -> None:
    """One line when it goes, one when it is back, and no more about it."""
    assert (relay.text.count(LOST), relay.text.count(BACK)) == (1, 1)
    assert "Traceback" not in relay.text


def test_redis_that_freezes_gets_late_what_was_sent_in_vain(
    children: Children, server: RedisServer
) -> None:
    """G2, G3, G6: publishing goes on; late jobs are of claims that are gone, and do nothing."""
    children.world["patience"] = SOON
    relay = queued(children)
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        publish(children)
        relay.says(LOST)
        eventually(lambda: given_back(ALL))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    relay.says(BACK)
    # Those of before, those that were pushed again, and those that arrived late: of one queue,
    # for after that the relay did not try the other.
    eventually(lambda: jobs() == 2 * CHUNKS + CHUNKS // 2)
    check_outage(relay)
    finish(children, 2 * EVENTS)


def test_redis_that_hangs_costs_patience_and_nothing_else(
    children: Children, tmp_path: Path, settings: Any
) -> None:
    """G2, G6: it accepts a connection and never answers, until a real one takes its place."""
    with hanging_server() as hanging:
        use(hanging.port, children, settings)
        children.world["patience"] = SOON
        relay = children.relay()
        publish(children)
        relay.says(LOST)
        eventually(lambda: given_back(ALL))
    with RedisServer(tmp_path / "redis", port=hanging.port):
        relay.says(BACK)
        check_outage(relay)
        finish(children)
        children.end()


def test_redis_that_is_full_is_waited_for(children: Children, client: redis.Redis) -> None:
    """G2, G6: it refuses what makes it grow (noeviction), and answers all else."""
    client.config_set("maxmemory", 1)
    relay = children.relay()
    publish(children)
    relay.says(LOST)
    assert "maxmemory" in relay.text
    eventually(lambda: given_back(ALL))
    assert not jobs()
    client.config_set("maxmemory", 0)
    relay.says(BACK)
    check_outage(relay)
    finish(children)


def test_redis_that_fills_up_under_a_worker_doubles_nothing(
    children: Children, client: redis.Redis
) -> None:
    """G2, G3: RQ can't note that its job is done, and ends; the database knows."""
    queued(children)
    worker = children.worker(*outcome.QUEUES, at="after write #3", fate=Fate.FROST)
    worker.breaks()
    client.config_set("maxmemory", 1)
    worker.thaw()
    assert worker.ends() != 0
    assert ordering.statuses() == {Status.SUCCEEDED: 3, Status.QUEUED: ALL - 3}
    client.config_set("maxmemory", 0)
    finish(children, left={"started": 1})


def test_redis_that_is_killed_under_a_worker_loses_and_doubles_nothing(
    children: Children, server: RedisServer
) -> None:
    """G2, G3: it has kept nothing; the worker goes on in the middle of its job."""
    relay = queued(children)
    worker = children.worker(*outcome.QUEUES, at="after write #3", fate=Fate.FROST)
    worker.breaks()
    server.kill()
    worker.thaw()
    eventually(lambda: ordering.count(Status.SUCCEEDED) == CHUNK)
    publish(children)
    relay.says(LOST)
    eventually(lambda: given_back(ALL))
    server.start()
    relay.says(BACK)
    check_outage(relay)
    outcome.lapse_queued()
    children.worker(*outcome.QUEUES)
    outcome.come_to_rest(KIND, 2 * EVENTS)
    # If RQ's worker tries for long enough, it notes as failed what it could not note as done.
    eventually(lambda: "exception raised" in worker.text or not worker.is_running)
    outcome.check(KIND, 2 * EVENTS, left=outcome.jobs_that_failed())


@pytest.mark.parametrize("lost", ["rq:queue:*", "rq:job:eda-*"])
def test_what_an_eviction_takes_by_halves_goes_again(
    children: Children, client: redis.Redis, lost: str
) -> None:
    """G2, G7: a list without its jobs, or jobs without their list; no attempt burns."""
    queued(children)
    client.delete(*client.keys(lost))
    outcome.lapse_queued()
    finish(children)


def test_queue_that_an_operator_empties_is_filled_again(
    children: Children, server: RedisServer
) -> None:
    """G2: by RQ's own command; other queues lose nothing by it."""
    queued(children)
    words = [sys.executable, "-m", "rq.cli", "empty", "default", "--url", server.url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert f"{CHUNKS // 2} jobs removed from default queue" in done.stderr + done.stdout
    assert jobs() == CHUNKS // 2
    outcome.lapse_queued()
    finish(children)


def test_redis_that_was_made_a_replica_is_waited_for(
    children: Children, client: redis.Redis, tmp_path: Path
) -> None:
    """G2: a failover that its clients did not follow: READONLY, and its data is another's."""
    relay = queued(children)
    worker = children.worker(*outcome.QUEUES, at="after write #3", fate=Fate.FROST)
    worker.breaks()
    with RedisServer(tmp_path / "primary") as primary:
        client.replicaof(HOST, str(primary.port))
        eventually(lambda: client.info("replication")["master_link_status"] == "up")
        worker.thaw()
        assert worker.ends() != 0
        publish(children)
        relay.says(LOST)
        assert "read only replica" in relay.text
        eventually(lambda: given_back(ALL))
        client.replicaof("NO", "ONE")
    relay.says(BACK)
    check_outage(relay)
    outcome.lapse_queued()
    finish(children, 2 * EVENTS)


def test_redis_that_is_slow_makes_nothing_go_twice(
    children: Children, server: RedisServer, client: redis.Redis, settings: Any
) -> None:
    """G3, G6, G7: 200 milliseconds for each answer, so that a job takes seconds."""
    with slow_road(server.port, delay=0.1) as road:
        use(road.port, children, settings)
        relay = children.relay()
        publish(children, 1)
        eventually(lambda: jobs() == len(outcome.QUEUES))
        claims = tokens()
        # Before any worker is there: the relay asks about what waits, and may take its time.
        client.config_resetstat()
        outcome.lapse_queued()
        eventually(lambda: asked_for(client) >= len(outcome.QUEUES))
        for queue in outcome.QUEUES:
            children.worker(queue)
        outcome.check(KIND, 1)
        # Effects would not show it: what is left of a claim that is over does nothing.
        assert tokens() == claims
        assert LOST not in relay.text
        children.end()


def tokens() -> dict[int, UUID | None]:
    """Return the claim of each delivery: the one under which it is, or has succeeded."""
    return dict(Delivery.objects.values_list("pk", "token"))


def asked_for(client: redis.Redis) -> int:
    """Return how many jobs a relay has looked for in their queues since the last reset."""
    return int(client.info("commandstats").get("cmdstat_lpos", {}).get("calls", 0))
