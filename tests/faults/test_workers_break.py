"""Workers that freeze and thaw, run out of memory or of RQ's time, are scaled down or abandoned.

What becomes of those that are killed is in test_kill_points.py, and of those that kill themselves
in test_hostile_events.py.
"""

import os
import signal
from pathlib import Path

import django_rq
import pytest
from django.db import connection
from rq.job import Job

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.models.clock import DatabaseNow
from tests.faults import outcome
from tests.faults.children import FORK, SIMPLE, Child, Children
from tests.faults.planting import Fate
from tests.faults.points import LOST
from tests.faults.publishing import publish
from tests.integration import ordering
from tests.relaying import lapse_leases, only_delivery, row_locks
from tests.waiting import eventually

pytestmark = pytest.mark.processes

STALE = "claim was lost, nothing was changed"


def frozen_worker(children: Children, kind: str, at: str) -> Child:
    """Have a worker freeze on its way through one event of this kind."""
    publish(kind, "")
    assert children.relay("--once").ends() == 0
    return freeze(children, at)


def freeze(children: Children, at: str) -> Child:
    worker = children.worker("default", at=at, fate=Fate.FROST)
    worker.breaks()
    return worker


@pytest.mark.parametrize(
    ("kind", "at"), [("faults.met", "after start"), ("faults.bare", "after write")]
)
def test_worker_that_thaws_while_another_runs_its_delivery_changes_nothing(
    children: Children, kind: str, at: str
) -> None:
    """G3: the fence. What it wrote without a transaction stays, and is all that does."""
    first = frozen_worker(children, kind, at)
    lapse_leases()
    children.relay()
    second = freeze(children, at)
    stood = only_delivery()
    assert (stood.status, stood.attempts, stood.error_class) == (Status.RUNNING, 2, LOST)
    first.thaw()
    first.says(STALE)
    now = only_delivery()
    assert (now.status, now.token, now.attempts) == (Status.RUNNING, stood.token, 2)
    assert now.lease_until == stood.lease_until
    second.thaw()
    doubled = [(1, "first"), (1, "second")] if kind == "faults.bare" else []
    outcome.check(kind, 1, failed={1: LOST}, doubled=doubled)
    assert second.text.count(STALE) == 0


def test_worker_that_froze_before_it_started_anything_starts_nothing_any_more(
    children: Children,
) -> None:
    """G2, G3: it has popped its job, so that the relay takes it for lost. No attempt burns."""
    publish("faults.happened", *[""] * 9)
    assert children.relay("--once").ends() == 0
    first = freeze(children, "before start")
    outcome.lapse_queued()
    children.relay()
    children.worker("default", "slow")
    outcome.check("faults.happened", 9, left={"started": 1})
    first.thaw()
    outcome.check("faults.happened", 9)


def test_worker_that_is_frozen_for_longer_than_its_lease_goes_on(children: Children) -> None:
    """G3: its lock says that it lives, so that nobody else begins; and then it is through."""
    children.lease = 0.5
    publish("faults.met", "", "")
    assert children.relay("--once").ends() == 0
    first = freeze(children, "after write")
    running = Delivery.objects.filter(status=Status.RUNNING)
    eventually(running.filter(lease_until__lt=DatabaseNow()).exists)
    django_rq.get_queue("default").empty()
    # What others begin from now on is not to lapse.
    children.lease = Children.lease
    children.relay()
    children.worker("default")
    if connection.vendor != "sqlite":
        # To know that the other one was lost, the relay has to look at this one, too.
        eventually(lambda: ordering.count(Status.SUCCEEDED) == 1)
    assert running.get().attempts == 1
    first.thaw()
    outcome.check("faults.met", 2)


@row_locks
def test_worker_whose_connection_ended_while_it_was_frozen_changes_nothing(
    children: Children,
) -> None:
    """G3: the server has undone what it wrote, and another worker does it again."""
    first = frozen_worker(children, "faults.happened", "after write")
    end_connection_that_holds_a_lock()
    lapse_leases()
    children.relay()
    children.worker("default", "slow")
    outcome.come_to_rest("faults.happened", 1)
    first.thaw()
    first.says(STALE)
    outcome.check("faults.happened", 1, failed={1: LOST})


def end_connection_that_holds_a_lock() -> None:
    """End the one transaction that is open, on the server."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle in transaction'"
            )
            assert cursor.fetchall() == [(True,)]
            return
        cursor.execute(
            "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"
            " JOIN information_schema.processlist ON id = trx_mysql_thread_id"
            " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        ((number,),) = cursor.fetchall()
        cursor.execute(f"KILL {number}")


@pytest.mark.parametrize("kind", [SIMPLE, FORK])
def test_worker_that_reaches_its_limit_of_memory_fails_one_attempt(
    children: Children, kind: str
) -> None:
    """G4: RLIMIT_AS. The worker lives on, and its neighbours in the chunk lose nothing."""
    events = ["", "spend", ""] * 3
    publish("faults.met", *events)
    children.relay()
    children.world["memory"] = 256 << 20
    worker = children.worker("default", kind=kind)
    outcome.check("faults.met", 9, failed=dict.fromkeys((2, 5, 8), "MemoryError"))
    assert worker.is_running


@pytest.mark.parametrize("limited", [True, False], ids=["a limit", "no limit"])
def test_job_that_rq_ends_before_its_subscribers_are_through_is_made_good_for(
    children: Children, limited: bool
) -> None:
    """G2, G3: its alarm may come anywhere, also between a subscriber and its commit.

    Where an attempt has no limit of its own, it comes in the subscriber. With one it is put off
    until the subscriber has ended, and comes wherever the consumer is then.
    """
    events = 8
    children.world["limited"] = limited
    # Each job has two. In half of them the alarm comes during one, and one waits behind it.
    behaviours = ["sleep:1.3", ""] * (events // 4) + [""] * (events // 2)
    publish("faults.met", *behaviours)
    assert children.relay("--once").ends() == 0
    queue = django_rq.get_queue("default")
    for job_id in queue.job_ids:
        job = Job.fetch(job_id, connection=queue.connection)
        # RQ's shortest. The relay would have made it longer than what its subscribers may take.
        job.timeout = 1
        job.save()
    # Only now, or a slow start would have the relay push new jobs, with its own limits.
    children.lease = 2.0
    children.relay()
    # On SQLite two would wait for each other's write lock, and be interrupted there.
    for _ in range(1 if connection.vendor == "sqlite" else 2):
        children.worker("default")
    if not limited:
        # A consumer that is through with its job a moment after the subscriber escapes it.
        eventually(lambda: any("JobTimeoutException" in log for log in children.logs()))
    eventually(lambda: lapsed_and_settled(events), every=0.5)
    outcome.come_to_rest("faults.met", events)
    assert ordering.statuses() == {Status.SUCCEEDED: events}
    assert outcome.effects() == outcome.expected_effects("faults.met", events)
    # Every attempt that did not succeed is counted, and recorded.
    assert outcome.attempts() == dict.fromkeys(outcome.failures(), 2)
    kinds = {kind for _, kind in outcome.failures().values()}
    assert limited or "rq.timeouts.JobTimeoutException" in kinds
    # Each by the alarm, or by what Django then met that was interrupted in the middle of a commit.
    told = Attempt.objects.exclude(error_class=LOST).values_list("traceback", flat=True)
    assert all("JobTimeoutException" in traceback for traceback in told)


def lapsed_and_settled(events: int) -> bool:
    outcome.lapse_queued()
    return ordering.settled(events)


@pytest.mark.parametrize("whole", [True, False], ids=["pool", "one of its workers"])
def test_pool_that_is_scaled_down_finishes_what_it_runs(
    children: Children, tmp_path: Path, whole: bool
) -> None:
    """G2, G3: what waits is left to others, and no attempt burns."""
    publish("faults.met", *[f"hold:{tmp_path}"] * 8)
    assert children.relay("--once").ends() == 0
    pool = children.run("rqworker-pool", "default", "--num-workers=2")
    started = django_rq.get_queue("default").started_job_registry
    eventually(lambda: len(started.get_job_ids(cleanup=False)) == 2)
    # Where only one can write, the other may wait for it before it has marked its own.
    least = 1 if connection.vendor == "sqlite" else 2
    eventually(lambda: ordering.count(Status.RUNNING) >= least)
    if whole:
        pool.signal(signal.SIGTERM)
        pool.says("Sent shutdown command", times=2)
    else:
        os.kill(forked_by(pool)[0], signal.SIGTERM)
    (tmp_path / "go").touch()
    if whole:
        assert pool.ends() == 0
        # Each of the two had one chunk of two.
        assert ordering.statuses() == {Status.SUCCEEDED: 4, Status.QUEUED: 4}
        children.worker("default")
    outcome.check("faults.met", 8)


def test_work_horse_whose_worker_dies_goes_on_alone(children: Children, tmp_path: Path) -> None:
    """G2, G3: its lock says that it lives, so that nobody else begins; and no attempt burns."""
    publish("faults.met", f"hold:{tmp_path}", "")
    children.lease = 0.5
    assert children.relay("--once").ends() == 0
    worker = children.worker("default", kind=FORK)
    held = OutboxEvent.objects.earliest("pk").event_id
    eventually((tmp_path / f"{held}").exists)
    (horse,) = forked_by(worker)
    worker.signal(signal.SIGKILL)
    assert worker.ends() == -signal.SIGKILL
    running = Delivery.objects.filter(status=Status.RUNNING)
    eventually(running.filter(lease_until__lt=DatabaseNow()).exists)
    django_rq.get_queue("default").empty()
    # What others begin from now on is not to lapse.
    children.lease = Children.lease
    children.relay()
    children.worker("default")
    if connection.vendor != "sqlite":
        # To know that the other one was lost, the relay has to look at this one, too.
        eventually(lambda: ordering.count(Status.SUCCEEDED) == 1)
    assert running.get().attempts == 1
    os.kill(horse, 0)
    (tmp_path / "go").touch()
    outcome.check("faults.met", 2)
    # Relay and worker have gone on, and begin it no more.
    publish("faults.met", "")
    outcome.check("faults.met", 3)


def forked_by(parent: Child) -> list[int]:
    """Return a process's children: a pool's workers, or the work horse of one of them."""
    return [
        pid
        for path in Path(f"/proc/{parent.pid}/task").glob("*/children")
        for pid in map(int, path.read_text().split())
    ]


def test_abandoned_job_that_an_operator_requeues_does_nothing(children: Children) -> None:
    """G3: its worker's entries are left behind in RQ; its claim is over."""
    publish("faults.happened", *[""] * 9)
    assert children.relay("--once").ends() == 0
    children.worker("default", at="after write #3").dies()
    lapse_leases()
    children.relay()
    children.worker("default", "slow")
    outcome.check("faults.happened", 9, failed={2: LOST}, left={"started": 1})
    stood = list(Delivery.objects.order_by("pk").values())
    queue = django_rq.get_queue("default")
    (job_id,) = queue.started_job_registry.get_job_ids(cleanup=False)
    # What RQ's worker does every few minutes, when the job's heartbeat has lapsed.
    queue.started_job_registry.cleanup(2.0**33)
    assert queue.failed_job_registry.get_job_ids() == [job_id]
    queue.failed_job_registry.requeue(job_id)
    outcome.check("faults.happened", 9, failed={2: LOST})
    assert list(Delivery.objects.order_by("pk").values()) == stood
