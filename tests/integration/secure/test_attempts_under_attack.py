"""Attempts that somebody cuts short, or lengthens, who can write to Redis, and to nothing else.

The docs' table goes on. Whatever is done, nothing waits for longer than the site allows.
"""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import rq.command
from django.core.management import call_command
from django.db import transaction

from eda_django import Event, publish, subscribes
from eda_django.exceptions import SubscriberTimeout
from eda_django.models import Attempt, Delivery, Status
from tests.attacker import consume_call, stolen
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.secure.site import LEASE, Site, attempts, once, push_notes
from tests.relaying import lapse_leases, lapse_running, make_due, seconds_until
from tests.testapp.subscribers import QUICK
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


def forge_limits(client: Any, *, attempt: float | None, job: int) -> None:
    """Change the seconds that an attempt, and the whole of the job that waits, may take."""
    [(job_id, ids, kwargs)] = stolen(client, queue="default")
    data = consume_call(ids, **{**kwargs, "timeout": attempt})
    client.hset(f"rq:job:{job_id}", mapping={"data": data, "timeout": job})


def test_short_time_limit_costs_an_attempt(site: Site, redis_client: Any, settings: Any) -> None:
    """Again and again, and it is a dead letter; an operator who retries it loses nothing.

    Always where the queue has no limit: where it has one RQ's alarm waits for the subscriber's end.
    """
    set_limit(settings, -1)
    place_notes("sleep:3")
    for number in range(1, QUICK.max_attempts + 1):
        make_due()
        call_command("relay", "--once")
        forge_limits(redis_client, attempt=None, job=2)
        site.work()
        assert attempts() == [number]
    errors = list(Attempt.objects.values_list("error_class", flat=True))
    assert len(errors) == QUICK.max_attempts
    assert all(e.endswith("JobTimeoutException") for e in errors)
    assert ordering.statuses() == {Status.DEAD: 1}
    with transaction.atomic():
        assert Delivery.objects.retry()
    call_command("relay", "--once")
    site.work()
    assert once(1)


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(
    ("seconds", "forged", "end"), [(30, 0.1, Status.SUCCEEDED), (1, 10**9, Status.PENDING)]
)
def test_time_limit_of_an_attempt_can_not_be_changed(
    site: Site,
    redis_client: Any,
    settings: Any,
    is_own: bool,
    seconds: int,
    forged: float,
    end: Status,
) -> None:
    """Neither way: what the code and RQ_QUEUES say counts, not what the job says."""
    if not is_own:
        set_limit(settings, seconds)
    own = seconds if is_own else None
    subscribes("t.napped", name="t.nap", queue="default", timeout=own)(nap)
    publish_nap()
    call_command("relay", "--once")
    forge_limits(redis_client, attempt=forged, job=-1)
    site.work()
    assert ordering.statuses() == {end: 1}


def test_long_time_limit_is_for_what_goes_on_after_its_own(
    site: Site, redis_client: Any, settings: Any
) -> None:
    """A subscriber that swallows the end of its time keeps its worker."""
    set_limit(settings, 1)
    left: list[float] = []

    def linger(event: Event[Any]) -> None:
        with suppress(SubscriberTimeout):
            nap(event)
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])

    subscribes("t.napped", name="t.nap", queue="default")(linger)
    for limit in (60, -1):
        publish_nap()
        call_command("relay", "--once")
        forge_limits(redis_client, attempt=None, job=limit)
        site.work()
    limited, endless = left
    assert 0 < limited < 60
    # What RQ makes of no limit.
    assert endless == 0 or endless > 10**9


def set_limit(settings: Any, seconds: int) -> None:
    """Set the time limit of every queue."""
    queues = settings.RQ_QUEUES
    settings.RQ_QUEUES = {n: {**q, "DEFAULT_TIMEOUT": seconds} for n, q in queues.items()}


def publish_nap() -> None:
    with transaction.atomic():
        publish("t.napped", {})


def nap(event: Event[Any]) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize(
    "command",
    [
        "kill-horse",
        "stop-job",
        pytest.param(
            "stop-execution",
            marks=pytest.mark.skipif(
                not hasattr(rq.command, "send_stop_execution_command"), reason="this RQ has none"
            ),
        ),
    ],
)
def test_killed_work_horse_costs_an_attempt(site: Site, redis_client: Any, command: str) -> None:
    """RQ's own commands."""
    site.relay()
    site.worker("fork")
    place_notes("sleep:60:1")
    order_for_worker_that_runs(redis_client, command)()
    lapse_running(Delivery.objects.filter(attempts=1), until=lambda: once(1))
    assert attempts() == [2]
    assert [a.error_class for a in Attempt.objects.all()] == ["eda_django.WorkerLost"]


def test_killed_work_horse_delays_by_the_limit_where_no_lock_tells(
    site: Site, redis_client: Any, settings: Any
) -> None:
    """By that of the queue, in RQ_QUEUES, however long the job says that it may take."""
    push_notes("sleep:60:1")
    forge_limits(redis_client, attempt=10**9, job=-1)
    worker = site.spawn("fork", EDA_TEST_BARE="testapp.behave")
    order_for_worker_that_runs(redis_client, "kill-horse")()
    worker.says("killed horse")
    [waits] = Delivery.objects.all()
    most = LEASE + settings.RQ_QUEUES["default"]["DEFAULT_TIMEOUT"]
    assert 0 < seconds_until(waits.lease_until) <= most
    lapse_leases()
    site.relay()
    eventually(lambda: ordering.statuses() == {Status.SUCCEEDED: 1})
    assert attempts() == [2]
    assert [a.error_class for a in Attempt.objects.all()] == ["eda_django.WorkerLost"]


@pytest.mark.parametrize(
    ("kind", "error"), [("fork", "eda_django.WorkerLost"), ("simple", "SystemExit")]
)
def test_worker_that_is_told_twice_to_end_costs_an_attempt(
    site: Site, redis_client: Any, kind: str, error: str
) -> None:
    """RQ's own command: the first lets the attempt end, and one that comes a second later does not.

    The supervisor starts another worker.
    """
    site.relay()
    worker = site.worker(kind)
    place_notes("sleep:60:1")
    tell = order_for_worker_that_runs(redis_client, "shutdown")
    tell()
    worker.says("warm shut down requested")
    # RQ passes over what comes within a second of the first.
    time.sleep(1.0)
    tell()
    # The rollback frees the row before the attempt is recorded: had its lease ended sooner, a relay
    # that is quick would record a lost worker.
    worker.ends()
    site.worker(kind)
    lapse_running(Delivery.objects.filter(attempts=1), until=lambda: once(1))
    assert attempts() == [2]
    assert [a.error_class for a in Attempt.objects.all()] == [error]


def order_for_worker_that_runs(client: Any, command: str) -> Callable[[], None]:
    """Wait until the one worker runs something; return what tells it to do that to it."""
    eventually(lambda: Delivery.objects.filter(status=Status.RUNNING).exists())
    [key] = client.smembers("rq:workers")
    channel = f"rq:pubsub:{key.decode().removeprefix('rq:worker:')}"
    [running] = eventually(lambda: client.zrange("rq:wip:default", 0, -1))
    job_id, _, execution_id = running.decode().partition(":")
    words = {"command": command, "job_id": job_id, "execution_id": execution_id}
    return lambda: client.publish(channel, json.dumps(words))
