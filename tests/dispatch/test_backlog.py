"""In which queues jobs wait: known from their lengths after the relay's own pushes."""

from typing import Any

import pytest
from redis.client import Pipeline

from eda_django.dispatch.backlog import BELIEVED, Backlog
from eda_django.dispatch.rq_transport import RqTransport
from tests.dispatch.queues import a_chunk, push
from tests.relay.standing_in import Clock


def test_what_was_pushed_itself_does_not_count() -> None:
    backlog = Backlog(Clock())
    backlog.note("empty", jobs=3, length=3, workers=1)
    backlog.note("quick", jobs=3, length=1, workers=1)
    backlog.note("slow", jobs=1, length=3, workers=1)
    assert backlog.ahead() == {"slow": 2}


def test_every_worker_has_a_job_before_it_where_a_queue_is_behind() -> None:
    """Or else one that is about to be idle would get nothing of what goes into one job."""
    backlog = Backlog(Clock())
    backlog.note("some", jobs=1, length=10, workers=10)
    backlog.note("each", jobs=1, length=11, workers=10)
    backlog.note("nobody's", jobs=1, length=3, workers=0)
    assert backlog.ahead() == {"each": 1, "nobody's": 2}


def test_a_length_is_not_believed_for_long() -> None:
    clock = Clock()
    backlog = Backlog(clock)
    backlog.note("slow", jobs=1, length=3, workers=1)
    clock.now += BELIEVED * 0.9
    assert backlog.ahead() == {"slow": 2}
    clock.now += BELIEVED * 0.2
    assert backlog.ahead() == {}


def test_transport_reads_the_lengths_after_its_pushes(redis_client: Any) -> None:
    transport = RqTransport()
    push(*[a_chunk("fast") for _ in range(3)], a_chunk("slow"), transport=transport)
    assert transport.ahead() == {}
    # Workers take one of each.
    redis_client.lpop("rq:queue:fast")
    redis_client.lpop("rq:queue:slow")
    push(a_chunk("fast"), a_chunk("slow"), transport=transport)
    assert transport.ahead() == {"fast": 2}
    redis_client.sadd("rq:workers:fast", "rq:worker:a", "rq:worker:b")
    push(a_chunk("fast"), transport=transport)
    assert transport.ahead() == {"fast": 1}


def test_push_that_arrived_counts_whatever_becomes_of_the_length(
    redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G7: what is in the queue is not given back."""

    def away(*_: Any) -> int:
        raise LookupError("a site's own connection is broken")

    monkeypatch.setattr(Pipeline, "scard", away)
    transport = RqTransport()
    assert push(a_chunk("fast"), transport=transport) == {}
    assert transport.ahead() == {}
