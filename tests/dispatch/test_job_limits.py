"""How long RQ lets a job run, and keeps it when it has failed; and who is told of refusals."""

from typing import Any

import django_rq
import pytest

from eda_django.chunks import Chunk
from eda_django.consumer import TIME_SLICE
from eda_django.dispatch import jobs
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
