"""How long RQ lets a job run, and keeps it when it has failed; and who is told of refusals."""

from typing import Any

import django_rq
import pytest
from django_rq.queues import DjangoRQ

from eda_django.chunks import TIME_SLICE, Chunk
from eda_django.dispatch import jobs, limit_of
from tests.dispatch.queues import a_chunk, elsewhere, push
from tests.integration.servers import closed_port
from tests.relaying import on_happened


def pushed(chunk: Chunk) -> Any:
    assert push(chunk) == {}
    job = django_rq.get_queue(chunk.queue).fetch_job(chunk.job_id)
    assert job is not None
    return job


@pytest.mark.parametrize("timeout", [5.0, 500.0])
def test_the_time_limit_is_the_subscribers_own(timeout: float, redis_client: Any) -> None:
    on_happened(lambda event: None, name="t.own", timeout=timeout)
    job = pushed(a_chunk(name="t.own"))
    assert job.kwargs["timeout"] == timeout
    assert job.timeout == timeout + TIME_SLICE + jobs.MARGIN


def test_a_job_that_failed_inside_rq_can_be_seen_for_a_day(redis_client: Any) -> None:
    assert pushed(a_chunk()).failure_ttl == 86_400


def test_whatever_is_refused_is_refused_with_its_own_reason(
    redis_client: Any, settings: Any
) -> None:
    """G4."""
    nowhere, away, fine = a_chunk("nowhere"), a_chunk("slow"), a_chunk("fast")
    with elsewhere(settings, "slow", port=closed_port()):
        refused = push(nowhere, away, fine)
    assert set(refused) == {nowhere.token, away.token}
    assert refused[nowhere.token] == "there is no queue 'nowhere' in RQ_QUEUES"
    assert refused[away.token].startswith("Redis is away: ")


class Patient(DjangoRQ):
    DEFAULT_TIMEOUT = 600


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ({}, 180),
        ({"DEFAULT_TIMEOUT": 7}, 7),
        ({"DEFAULT_TIMEOUT": "2m"}, 120),
        ({"DEFAULT_TIMEOUT": -1}, None),
        ({"QUEUE_CLASS": f"{__name__}.Patient"}, 600),
        ({"QUEUE_CLASS": f"{__name__}.Patient", "DEFAULT_TIMEOUT": 7}, 7),
    ],
)
def test_relay_and_worker_read_the_same_limit_of_a_queue(
    settings: Any, redis_client: Any, config: dict[str, Any], seconds: float | None
) -> None:
    """The relay through RQ, the worker by itself: it does not believe what stands in the job."""
    settings.RQ_QUEUES = {"fast": {**without_limit(settings.REDIS), **config}}
    assert limit_of("fast") == seconds
    on_happened(lambda event: None, queue="fast")
    assert pushed(a_chunk("fast")).kwargs["timeout"] == seconds


def without_limit(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "DEFAULT_TIMEOUT"}
