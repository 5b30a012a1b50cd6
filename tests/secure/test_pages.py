"""django-rq's own pages, in a process of a secured site, and what a stranger may leave for them."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django_rq.settings import get_queues_list

from eda_django import secure_pages
from tests.attacker import UNLISTED, call, forge, pickled
from tests.secure.refused import reason, work
from tests.world import LISTED

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def closed_pages(secured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the pages as a secured site's start does, for one test."""
    for name in secure_pages.MODULES:
        module = import_module(f"django_rq.{name}")
        for attribute in secure_pages.replacements().keys() & vars(module).keys():
            monkeypatch.setattr(module, attribute, getattr(module, attribute))
    secure_pages.close()


def page(name: str, *args: str) -> str:
    [index] = [i for i, queue in enumerate(get_queues_list()) if queue["name"] == "fast"]
    try:
        return reverse(f"admin:django_rq_{name}", args=[index, *args])
    except NoReverseMatch:
        pytest.skip("django-rq has this page since 4.1.")


def start(client: Any, **fields: Any) -> str:
    """Write a job that seems to run, and whose worker is lost."""
    job_id = forge(client, call(LISTED, "x"), status="started", worker_name="lost", **fields)
    client.delete("rq:queue:fast")
    client.zadd("rq:wip:fast", {f"{job_id}:run": 1})
    return job_id


def execute(client: Any, job_id: str) -> None:
    """Write a worker that seems to run this job."""
    now, born = time.time(), "2026-01-01T00:00:00.000000Z"
    client.zadd("rq:wip:fast", {f"{job_id}:run": now + 1_000})
    run: Any = {"id": "run", "created_at": now, "last_heartbeat": now, "worker_name": "w"}
    client.hset(f"rq:execution:{job_id}:run", mapping=run)
    client.sadd("rq:worker:w:executions", f"{job_id}:run")
    client.hset("rq:worker:w", mapping={"birth": born, "queues": "fast", "current_job": job_id})
    client.sadd("rq:workers", "rq:worker:w")


def test_deleting_failed_jobs_unpickles_none(
    redis_client: Any, admin_client: Client, trap: Path
) -> None:
    job_id = forge(redis_client, call("os.mkdir", str(trap)), meta=pickled(trap))
    work()
    assert "'os.mkdir' is not in" in reason(redis_client, job_id)
    assert admin_client.post(page("delete_failed_jobs")).status_code == 302
    assert not redis_client.exists(f"rq:job:{job_id}")


def test_stopping_a_job_unpickles_nothing(
    redis_client: Any, admin_client: Client, trap: Path
) -> None:
    job_id = start(redis_client, meta=pickled(trap))
    listener = redis_client.pubsub()
    listener.subscribe("rq:pubsub:lost")
    listener.get_message(timeout=1)
    assert admin_client.post(page("stop_job", job_id)).status_code == 302
    assert b"stop-job" in listener.get_message(timeout=1)["data"]
    listener.close()


def test_page_of_a_worker_unpickles_nothing(
    redis_client: Any, admin_client: Client, trap: Path
) -> None:
    job_id = start(redis_client, meta=pickled(trap))
    execute(redis_client, job_id)
    answer = admin_client.get(page("worker_details", "rq:worker:w"))
    assert job_id in answer.content.decode()


@pytest.mark.parametrize("name", ["started_jobs", "queue_details", "jobs", "workers"])
def test_pages_of_a_queue_unpickle_nothing(
    redis_client: Any, admin_client: Client, trap: Path, name: str
) -> None:
    execute(redis_client, start(redis_client, meta=pickled(trap)))
    forge(redis_client, call("os.mkdir", str(trap)), meta=pickled(trap))
    assert admin_client.get(page(name)).status_code == 200


@pytest.mark.parametrize("name", ["home", "home_json", "queue_details", "started_jobs"])
@pytest.mark.parametrize("field", ["meta", "failure_callback_name"])
def test_upkeep_by_a_page_runs_nothing(
    redis_client: Any, admin_client: Client, trap: Path, name: str, field: str
) -> None:
    """Whoever looks at these has jobs ended whose workers are lost."""
    fields: Any = {field: UNLISTED if field.endswith("name") else pickled(trap)}
    job_id = start(redis_client, **fields)
    # django-rq 4.0 can't write what it found as JSON; it has looked by then.
    admin_client.raise_request_exception = False
    admin_client.get(reverse(f"admin:django_rq_{name}") if "home" in name else page(name))
    assert redis_client.hget(f"rq:job:{job_id}", "status") == b"failed"


def test_page_of_a_refused_job_says_so(redis_client: Any, admin_client: Client, trap: Path) -> None:
    job_id = forge(redis_client, call("os.mkdir", str(trap)), meta=pickled(trap))
    assert b"(refused)" in admin_client.get(page("job_detail", job_id)).content
