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
# The most jobs of a queue that are looked through for each of those in question.
LOOKED_THROUGH = 2_000


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
    it again. A started one shows in the database, by the delivery that runs. A long list is
    believed: what is missing there is found as it shortens. Something else in the place of a
    job's hash is no job. Raises RedisError, also if something else stands in the place of the list.

    Only numbers come back, because what stands in Redis may be as long as somebody likes.
    """
    is_long = queue.connection.llen(queue.key) > LOOKED_THROUGH
    with queue.connection.pipeline(transaction=False) as pipe:
        # All places before the first state: else a job that is just popped would count as lost.
        for token in tokens if not is_long else ():
            pipe.lpos(queue.key, job_id(token))
        for token in tokens:
            pipe.hstrlen(queue.job_class.key_for(job_id(token)), "status")
            # "failed" is as long a word as "queued".
            pipe.zscore(queue.failed_job_registry.key, job_id(token))
        answers = answers_of(pipe)
    places, states = answers[: -2 * len(tokens)], answers[-2 * len(tokens) :]
    queued = {
        token
        for token, size, failure in zip(tokens, states[::2], states[1::2], strict=True)
        if size == len(JobStatus.QUEUED.value) and not isinstance(failure, float)
    }
    if is_long:
        return queued
    alive = {token for token, at in zip(tokens, places, strict=True) if at is not None} & queued
    _let_expire(queue, queued - alive)
    return alive


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
