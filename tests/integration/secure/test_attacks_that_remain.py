"""What somebody can still do who can write to Redis, and to nothing else: the docs' table goes on.

Relay and workers are real, and configured as the docs tell to. The attacker reads and writes Redis
by hand. Whatever is done, no effect is lost or doubled, and nothing runs that is not the site's.
"""

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import call_command
from rq import Worker

from eda_django.dispatch.queues import queue_states
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.models import Delivery, Status
from eda_django.models.status import UNPUSHABLE
from tests.attacker import call, consume_call, forge, stolen
from tests.integration import ordering
from tests.integration.ordering import place_notes, place_orders
from tests.integration.secure.site import Site, attempts, once, push_notes
from tests.memory import full, peak_of
from tests.relaying import make_due
from tests.testapp.models import Effect
from tests.waiting import eventually
from tests.world import LISTED

BELL = "eda_django:tests:bell:default"
HUGE = 10_000_000

# The attacker has Redis, not the database.
pytestmark = [pytest.mark.processes, pytest.mark.once]


# Sooner


def test_queued_delivery_starts_before_its_turn(site: Site, redis_client: Any) -> None:
    """Whoever reads a token may start what is due anyway; the job in the queue finds it done."""
    push_notes("")
    push_notes("")
    [_, (_, ids, kwargs)] = stolen(redis_client, queue="default")
    forge(redis_client, consume_call(ids, **kwargs), queue="default", at_front=True)
    site.work()
    assert once(2)
    first, _ = Effect.objects.order_by("pk").values_list("event_id", flat=True)
    assert first == Delivery.objects.get(pk=ids[0]).event.event_id


def test_copies_of_a_job_double_nothing(site: Site, redis_client: Any) -> None:
    """G3: 300 copies of one job, and its own id 300 times, in two workers at once."""
    push_notes(*[""] * 8)
    jobs = stolen(redis_client, queue="default")
    for job_id, ids, kwargs in jobs:
        for _ in range(300 // len(jobs)):
            forge(redis_client, consume_call(ids, **kwargs), queue="default")
            redis_client.rpush("rq:queue:default", job_id)
    first, second = site.worker("simple", "--burst"), site.worker("simple", "--burst")
    assert (first.ends(), second.ends()) == (0, 0)
    assert once(8)
    assert attempts() == [1] * 8


def test_copy_of_a_job_that_runs_starts_nothing(site: Site, redis_client: Any) -> None:
    """G3: a second worker finds the row running."""
    push_notes("sleep:2")
    [(_, ids, kwargs)] = stolen(redis_client, queue="default")
    for _ in range(5):
        forge(redis_client, consume_call(ids, **kwargs), queue="default")
    first, second = site.worker("simple", "--burst"), site.worker("simple", "--burst")
    assert (first.ends(), second.ends()) == (0, 0)
    assert once(1)
    assert attempts() == [1]


# Later


@pytest.mark.parametrize("what", ["rq:job:*", "rq:queue:default", "*"])
def test_deleted_keys_delay_by_a_lease(site: Site, redis_client: Any, what: str) -> None:
    push_notes("", "")
    for key in redis_client.keys(what):
        redis_client.delete(key)
    site.relay()
    site.worker()
    eventually(lambda: once(2))
    assert attempts() == [1, 1]


def test_job_that_is_no_job_delays_by_a_lease(site: Site, redis_client: Any) -> None:
    """Workers pass over it; and what was deleted beside it is not kept back."""
    push_notes("", "")
    broken, lost = redis_client.keys("rq:job:*")
    redis_client.delete(broken, lost)
    redis_client.set(broken, "no hash")
    assert site.worker("simple", "--burst").ends() == 0
    site.relay()
    site.worker()
    eventually(lambda: once(2))
    assert attempts() == [1, 1]


def test_job_with_fewer_ids_delays_the_others_by_a_lease(site: Site, redis_client: Any) -> None:
    push_notes("", "")
    for job_id, _, kwargs in stolen(redis_client, queue="default"):
        redis_client.hset(f"rq:job:{job_id}", "data", consume_call([], **kwargs))
    site.work()
    assert ordering.statuses() == {Status.QUEUED: 2}
    site.relay()
    site.worker()
    eventually(lambda: once(2))
    assert attempts() == [1, 1]


def test_suspended_workers_go_on_when_the_key_is_gone(site: Site, redis_client: Any) -> None:
    redis_client.set("rq:suspended", 1)
    push_notes("")
    worker = site.worker()
    worker.says("suspended")
    assert ordering.statuses() == {Status.QUEUED: 1}
    redis_client.delete("rq:suspended")
    eventually(lambda: once(1))


def test_worker_that_is_told_to_end_ends(site: Site, redis_client: Any) -> None:
    """RQ's own command; the supervisor starts another."""
    worker = site.worker()
    worker.says("Listening on")
    [key] = eventually(lambda: redis_client.smembers("rq:workers"))
    channel = f"rq:pubsub:{key.decode().removeprefix('rq:worker:')}"
    redis_client.publish(channel, json.dumps({"command": "shutdown"}))
    assert worker.ends() == 0
    push_notes("")
    site.work()
    assert once(1)


# Load


def test_flood_of_refused_jobs_keeps_workers_busy(site: Site, redis_client: Any) -> None:
    for _ in range(200):
        forge(redis_client, b"\x80\x05.", queue="default")
    push_notes("")
    site.work()
    assert once(1)
    assert redis_client.zcard("rq:failed:default") == 200


def test_flood_of_the_bell_keeps_a_relay_busy(site: Site, redis_client: Any) -> None:
    """It looks more often than it has to, and does its work all the same."""
    relay = site.relay()
    site.worker()
    for _ in range(2_000):
        redis_client.rpush(BELL, *"x" * 20)
    place_notes("")
    eventually(lambda: once(1))
    assert relay.is_running


def test_full_redis_is_waited_for(site: Site, redis_client: Any) -> None:
    """No worker can take a job, either. No attempt is burned, and nobody has to start a relay."""
    push_notes("")
    with full(redis_client):
        site.worker("simple", "--burst").ends()
        relay = site.relay()
        place_notes("")
        relay.says("relay has lost its transport")
        assert attempts() == [0, 0]
    relay.says("relay works again")
    site.worker()
    eventually(lambda: once(2))
    assert attempts() == [1, 1]


def test_huge_ring_takes_memory_of_a_relay_once(site: Site, redis_client: Any) -> None:
    """It is read to be thrown away, and the others of that moment are not read."""

    def hear() -> None:
        transport = RqTransport()
        assert transport.wait(1.0, using="default", wake=Event())
        transport.wait(0.0, using="default", wake=Event())

    redis_client.rpush(BELL, "x" * HUGE, "x" * HUGE)
    assert HUGE < peak_of(hear) < 4 * HUGE
    assert not redis_client.exists(BELL)
    relay = site.relay()
    redis_client.rpush(BELL, "x" * HUGE)
    site.worker()
    place_notes("")
    eventually(lambda: once(1))
    assert relay.is_running


@pytest.mark.parametrize("part", ["data", "id"])
def test_huge_job_takes_memory_of_a_worker(site: Site, redis_client: Any, part: str) -> None:
    """RQ reads all of it, before it is refused."""
    push_notes("")
    if part == "data":
        forge(redis_client, b"x" * HUGE, queue="default", at_front=True)
    else:
        redis_client.lpush("rq:queue:default", "x" * HUGE)
    assert HUGE < peak_of(site.work) < 10 * HUGE
    assert once(1)
    assert redis_client.zcard("rq:failed:default") == (part == "data")


def test_huge_name_of_a_worker_takes_memory_of_the_console(site: Site, redis_client: Any) -> None:
    """It is nobody's, and not shown; a relay does not read it."""
    redis_client.sadd("rq:workers:default", "x" * HUGE)
    assert HUGE < peak_of(queue_states) < 10 * HUGE
    assert {state.workers for state in queue_states() or []} == {0}
    place_notes("")
    assert peak_of(lambda: call_command("relay", "--once")) < HUGE
    assert ordering.statuses() == {Status.QUEUED: 1}


def test_queue_that_is_no_list_stops_no_other(site: Site, redis_client: Any) -> None:
    """G4: not even one on the same Redis."""
    redis_client.set("rq:queue:slow", "no list")
    relay = site.relay()
    site.worker("simple")
    place_orders(1)
    bill = eventually(Delivery.objects.filter(error_class=UNPUSHABLE).first)
    assert (bill.subscriber, bill.status, bill.attempts) == ("testapp.bill", Status.PENDING, 0)
    assert bill.error_text.startswith("Redis refuses: ")
    assert "WRONGTYPE" in bill.error_text
    place_notes("")
    eventually(lambda: Effect.objects.filter(subscriber="testapp.behave").exists())
    redis_client.delete("rq:queue:slow")
    make_due()
    eventually(lambda: redis_client.llen("rq:queue:slow") == 1)
    assert "lost its transport" not in relay.text


def test_names_of_queues_that_are_no_set_stop_nothing(site: Site, redis_client: Any) -> None:
    """And nothing piles up."""
    redis_client.set("rq:queues", "no set")
    site.relay()
    site.worker().says("Listening on")
    place_notes("", "")
    eventually(lambda: once(2))
    assert attempts() == [1, 1]
    assert redis_client.llen("rq:queue:default") == 0


@pytest.mark.parametrize(
    "key",
    [
        "rq:workers",
        "rq:workers:default",
        "rq:wip:default",
        "rq:queue:default:intermediate",
        "rq:finished:default",
        "rq:failed:default",
    ],
)
def test_workers_end_where_what_rq_keeps_of_them_is_broken(
    site: Site, redis_client: Any, key: str
) -> None:
    """As long as the key is there; no attempt is burned."""
    push_notes("")
    redis_client.set(key, "something else")
    site.worker("simple", "--burst").ends()
    assert attempts() == [0]
    redis_client.delete(key)
    site.relay()
    site.worker()
    eventually(lambda: once(1))
    assert attempts() == [1]


@pytest.mark.parametrize("what", ["id", "dependent"])
def test_workers_end_where_rq_can_not_read_what_it_moves(
    site: Site, redis_client: Any, what: str
) -> None:
    """RQ asks no job class there. It is the one that does the upkeep; no attempt is burned."""
    push_notes("")
    if what == "id":
        key = "rq:queue:default:intermediate"
        redis_client.lpush("rq:queue:default", b"\xff")
    else:
        lost = forge(redis_client, call(LISTED), queue="slow", status="started")
        redis_client.zadd("rq:wip:default", {f"{lost}:1": 1})
        key = f"rq:job:{forge(redis_client, call(LISTED), queue='slow', timeout='never')}"
        redis_client.sadd(f"rq:job:{lost}:dependents", key.removeprefix("rq:job:"))
    site.worker("simple", "--burst").ends()
    assert attempts() == [0]
    redis_client.delete(key)
    site.work()
    assert once(1)


def test_bell_that_is_no_list_is_a_lost_bell(site: Site, redis_client: Any) -> None:
    """Polling is the backstop, and publishing does not notice."""
    redis_client.set(BELL, "no list")
    relay = site.relay()
    site.worker()
    place_notes("")
    eventually(lambda: once(1))
    assert relay.is_running


def test_workers_that_do_not_exist_are_only_shown(site: Site, redis_client: Any) -> None:
    for name in ("ghost", "phantom"):
        redis_client.sadd("rq:workers", f"rq:worker:{name}")
        redis_client.sadd("rq:workers:default", f"rq:worker:{name}")
        redis_client.hset(
            f"rq:worker:{name}",
            mapping={"birth": "2026-01-01T00:00:00.000000Z", "queues": "default", "state": "busy"},
        )
    site.relay()
    site.worker()
    place_notes("")
    eventually(lambda: once(1))
    shown = {worker.name for worker in Worker.all(connection=redis_client)}
    assert {"ghost", "phantom"} < shown
    told = {state.name: state.workers for state in queue_states() or []}
    assert told["default"] == 3


# What the site lists


def test_listed_function_gets_any_arguments(site: Site, redis_client: Any, tmp_path: Path) -> None:
    forge(redis_client, call(LISTED, str(tmp_path / "anywhere")), queue="default")
    site.work()
    assert (tmp_path / "anywhere").exists()
