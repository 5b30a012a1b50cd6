"""Django-rq's own workers run deliveries beside a site's other jobs, whatever their class."""

import binascii
import subprocess
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.core.management import call_command

from eda_django.models import Status
from tests.integration import ordering
from tests.integration.ordering import place_notes, place_orders
from tests.integration.processes import ROOT, Processes

pytestmark = pytest.mark.processes

WORKERS = {
    "fork": ("rqworker", "default"),
    "simple": ("rqworker", "default", "--worker-class=rq.SimpleWorker"),
    "spawn": ("rqworker", "default", "--worker-class=rq.worker.SpawnWorker"),
    "pool": ("rqworker-pool", "default", "--num-workers=2"),
    "pool of simple": (
        "rqworker-pool",
        "default",
        "--num-workers=2",
        "--worker-class=rq.SimpleWorker",
    ),
}


@pytest.mark.parametrize("kind", WORKERS)
def test_every_worker_class_runs_deliveries(processes: Processes, kind: str) -> None:
    """What fails fails alone, and the worker lives on."""
    place_notes("", "fail:1", "", "")
    call_command("relay", "--once")
    worker = processes.spawn(*WORKERS[kind], "--burst")
    assert worker.ends() == 0, worker.text
    assert ordering.statuses() == {Status.SUCCEEDED: 3, Status.PENDING: 1}
    assert not django_rq.get_queue("default").failed_job_registry.count


def test_worker_that_starts_from_nothing_runs_deliveries(
    processes: Processes, settings: Any
) -> None:
    """A pool's workers are spawned, not forked, from Python 3.14 on: they know only settings."""
    place_notes("")
    call_command("relay", "--once")
    (job_id,) = django_rq.get_queue("default").job_ids
    script = f"""
from redis import Redis
from rq.job import Job
redis = Redis(port={settings.REDIS_PORT})
print(Job.fetch({job_id!r}, connection=redis).perform())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("1", "")
    assert ordering.statuses() == {Status.SUCCEEDED: 1}


def test_queue_keeps_its_serializer(processes: Processes, settings: Any) -> None:
    """Nothing is pickled for a queue that has another serializer."""
    serializer = "rq.serializers.JSONSerializer"
    own = {**settings.REDIS, "SERIALIZER": serializer}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "default": own}
    place_notes("")
    call_command("relay", "--once")
    worker = processes.spawn("rqworker", "default", "--burst", f"--serializer={serializer}")
    assert worker.ends() == 0
    assert ordering.statuses() == {Status.SUCCEEDED: 1}


def leave_a_file(path: str) -> None:
    """Stands for a site's own job."""
    Path(path).touch()


def test_foreign_jobs_share_the_queue(processes: Processes, tmp_path: Path) -> None:
    queue = django_rq.get_queue("default")
    queue.enqueue(leave_a_file, str(tmp_path / "before"))
    place_notes("", "")
    call_command("relay", "--once")
    queue.enqueue(leave_a_file, str(tmp_path / "after"))
    worker = processes.spawn(*WORKERS["fork"], "--burst")
    assert worker.ends() == 0
    assert ordering.statuses() == {Status.SUCCEEDED: 2}
    assert {path.name for path in tmp_path.glob("[ab]*")} == {"before", "after"}


def test_redis_holds_ids_and_no_payload(processes: Processes, redis_client: Any) -> None:
    """G9: neither while a job waits nor after it has run or failed."""
    order, *_ = place_orders(4)
    call_command("relay", "--once")
    waiting = dump(redis_client)
    assert "consume" in waiting
    worker = processes.spawn("rqworker", "fast", "slow", "--burst")
    assert worker.ends() == 0
    assert ordering.statuses() == {Status.SUCCEEDED: 6, Status.PENDING: 3}
    for text in (waiting, dump(redis_client), worker.text):
        for secret in ("O-0", "2026-03-29", str(order.payload.reference)):
            assert secret not in text


def parts(entry: dict[bytes, bytes]) -> Iterator[bytes]:
    """Yield the fields of a job's result; what RQ packs into a text, unpacked."""
    for name, value in entry.items():
        yield from (name, value)
        with suppress(binascii.Error, zlib.error):
            yield zlib.decompress(b64decode(value, validate=True))


def dump(client: Any) -> str:
    """Return everything that is in Redis, unpacked."""
    reads = {
        b"string": lambda key: [client.get(key)],
        b"hash": lambda key: [x for pair in client.hgetall(key).items() for x in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: list(client.smembers(key)),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: [part for _, entry in client.xrange(key) for part in parts(entry)],
    }
    found = []
    for key in client.scan_iter():
        for value in reads[client.type(key)](key):
            with suppress(zlib.error):
                value = zlib.decompress(value)
            found.append(value.decode(errors="replace"))
    return "\n".join(found)
