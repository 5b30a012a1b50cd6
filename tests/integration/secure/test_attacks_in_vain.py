"""What somebody tries in vain who can write to Redis, and to nothing else: the docs' table begins.

Relay and workers are real, and configured as the docs tell to. The attacker reads and writes Redis
by hand. Nothing comes of it, and nothing runs that is not the site's.
"""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from eda_django.models import Delivery, Status
from tests import attacker
from tests.attacker import call, consume_call, forge, pickled, stolen
from tests.integration import ordering
from tests.integration.secure.site import KINDS, Site, once, push_notes
from tests.integration.test_workers import dump
from tests.world import LISTED

# The attacker has Redis, not the database.
pytestmark = [pytest.mark.processes, pytest.mark.once]


@pytest.mark.parametrize("kind", KINDS)
def test_other_functions_and_pickles_do_not_run(
    site: Site, redis_client: Any, trap: Path, tmp_path: Path, kind: str
) -> None:
    """In whatever worker: refused jobs fail, a listed function and the deliveries run."""
    jobs = [
        forge(redis_client, call("os.mkdir", str(trap)), queue="default"),
        forge(redis_client, pickled(trap), queue="default"),
        forge(
            redis_client,
            call(LISTED, str(trap)),
            queue="default",
            failure_callback_name=attacker.UNLISTED,
        ),
    ]
    abandoned = forge(
        redis_client,
        call(LISTED, str(trap)),
        queue="default",
        status="started",
        failure_callback_name=attacker.UNLISTED,
        meta=pickled(trap),
    )
    redis_client.lrem("rq:queue:default", 0, abandoned)
    redis_client.zadd("rq:wip:default", {f"{abandoned}:1": 1})
    forge(redis_client, call(LISTED, str(tmp_path / "mine")), queue="default")
    push_notes("", "")
    # One of them is made as those of the other tests are, and shows that these are closed, too.
    start = site.worker if kind == "simple" else site.spawn
    worker = start(kind, "--burst")
    assert worker.ends() == 0, worker.text
    for job_id in (*jobs, abandoned):
        assert redis_client.hget(f"rq:job:{job_id}", "status") == b"failed"
    assert (tmp_path / "mine").exists()
    assert once(2)


def test_ids_without_the_token_start_nothing(site: Site, redis_client: Any) -> None:
    """A token is 122 random bits, and no delivery starts under another."""
    push_notes("", "")
    redis_client.flushall()
    ids = list(Delivery.objects.values_list("pk", flat=True))
    for token in (uuid4().hex, "0" * 32):
        forge(redis_client, consume_call(ids, token=token), queue="default")
    site.work()
    assert ordering.statuses() == {Status.QUEUED: 2}
    assert not redis_client.zcard("rq:failed:default")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_another_database_has_nothing_under_the_token(site: Site, redis_client: Any) -> None:
    push_notes("")
    [(_, ids, kwargs)] = stolen(redis_client, queue="default")
    redis_client.flushall()
    fine = forge(redis_client, consume_call(ids, **{**kwargs, "using": "other"}), queue="default")
    refused = forge(
        redis_client, consume_call(ids, **{**kwargs, "using": "elsewhere"}), queue="default"
    )
    site.work()
    assert ordering.statuses() == {Status.QUEUED: 1}
    failed = redis_client.zrange("rq:failed:default", 0, -1)
    assert (fine.encode() in failed, failed) == (False, [refused.encode()])


def test_redis_tells_ids_and_names_only(site: Site, redis_client: Any) -> None:
    """What can be read there: numbers, tokens, names of subscribers, queues and workers."""
    order, *_ = ordering.place_orders(1)
    call_command("relay", "--once")
    text = dump(redis_client)
    assert "testapp.reserve" in text
    for secret in ("O-0", "2026-03-29", str(order.payload.reference)):
        assert secret not in text
