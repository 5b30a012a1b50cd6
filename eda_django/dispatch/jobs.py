"""The RQ job that carries a chunk: what is in it, and whether it is still on its way."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis.client import Pipeline
from redis.exceptions import ResponseError
from rq import Queue
from rq.job import JobStatus
from rq.queue import EnqueueData

from ..chunks import JOB, TIME_SLICE, Chunk, job_id
from ..registry import registry

# Seconds that RQ waits longer than the consumer, which times its subscribers itself.
MARGIN = 30
# Seconds that a job which failed inside RQ stays visible in its failed registry.
FAILURE_TTL = 86_400
# The most jobs of a queue that are looked through for those in question.
HEAD = 5_000


def job_for(queue: Queue, chunk: Chunk, using: str) -> EnqueueData:
    """Return what RQ is to run: ids, no payload. Retries are ours, and results are of no use."""
    limit = registry.timeout_of(chunk.subscriber, queue._default_timeout)
    count = len(chunk.delivery_ids)
    return queue.prepare_data(
        JOB,
        args=(list(chunk.delivery_ids),),
        # The limit is for workers of older code; others have it from their own settings.
        kwargs={"token": chunk.token.hex, "using": using, "timeout": limit},
        timeout=-1 if limit is None else int(limit + TIME_SLICE + MARGIN),
        result_ttl=0,
        failure_ttl=FAILURE_TTL,
        job_id=chunk.job_id,
        description=f"{count} {'delivery' if count == 1 else 'deliveries'} for {chunk.subscriber}",
    )


def alive_in(queue: Queue, tokens: Sequence[UUID]) -> set[UUID]:
    """Ask for the jobs' hashes and for the queue's list: either may be lost without the other.

    A job that was popped and not started is not on its way any more: nothing in RQ would start
    it again. A started one shows in the database, by the delivery that runs. Of a long list only
    the head is looked through, and the rest believed: what is missing there is found as the list
    shortens. Something else in the place of a job's hash is no job. Raises RedisError, also if
    something else stands in the place of the list.

    Only numbers come back, because what stands in Redis may be as long as somebody likes.
    """
    failed = queue.failed_job_registry.key
    with queue.connection.pipeline(transaction=False) as pipe:
        pipe.llen(queue.key)
        for token in tokens:
            name = job_id(token)
            pipe.lpos(queue.key, name, maxlen=HEAD)
            pipe.hstrlen(queue.job_class.key_for(name), "status")
            pipe.zscore(failed, name)
        length, *answers = answers_of(pipe)
    places, sizes, failures = answers[::3], answers[1::3], answers[2::3]
    for answer in (length, *places):
        if isinstance(answer, ResponseError):
            raise answer
    queued = {
        token
        for token, size, failure in zip(tokens, sizes, failures, strict=True)
        if size == len(JobStatus.QUEUED.value) and not isinstance(failure, float)
    }
    if length > HEAD:
        return queued
    listed = {token for token, place in zip(tokens, places, strict=True) if place is not None}
    _let_expire(queue, queued - listed)
    return queued & listed


def answers_of(pipe: Pipeline) -> list[Any]:
    """Return what Redis answers, with an error in the place of each key that is another thing.

    Such a key is the only one that is hurt. Raises RedisError for everything else.
    """
    answers: list[Any] = pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not is_one_keys(answer):
            raise answer
    return answers


def is_one_keys(error: Exception) -> bool:
    """Return whether something else stands in the place of a key, which hurts no other one."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def _let_expire(queue: Queue, tokens: set[UUID]) -> None:
    """Have Redis forget jobs that are in no list any more, which RQ would keep for ever.

    In a while, because a worker may have taken one just now.
    """
    if not tokens:
        return
    with queue.connection.pipeline(transaction=False) as pipe:
        for token in tokens:
            pipe.expire(queue.job_class.key_for(job_id(token)), FAILURE_TTL)
        pipe.execute()
