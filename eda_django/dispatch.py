"""How deliveries reach workers, and commits reach relays: the only module that knows RQ."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import django_rq
from django_rq import settings as django_rq_settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as RedisRetry
from rq import Queue
from rq.job import JobStatus
from rq.queue import EnqueueData

from . import conf
from .chunks import Chunk, job_id
from .consumer import TIME_SLICE, consume
from .doorbell import Doorbell
from .exceptions import TransportUnavailable
from .registry import registry

logger = logging.getLogger("eda_django")

# Seconds that a call to Redis may take before Redis counts as away.
TIMEOUT = 5.0
# The same for the doorbell, which has a backstop.
BELL_TIMEOUT = 0.5
# Seconds a job may take on a queue that says nothing about it.
DEFAULT_TIMEOUT = Queue.DEFAULT_TIMEOUT
# Seconds that RQ waits longer than the consumer, which times its subscribers itself.
MARGIN = 30
# Seconds that a job which failed inside RQ stays visible in its failed registry.
FAILURE_TTL = 86_400
# More rings than this say nothing that one does not.
MAX_RINGS = 10


class Transport(Protocol):
    """What the relay needs of whatever carries its chunks."""

    def check(self) -> None:
        """Raise TransportUnavailable if nothing can be carried now."""

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        """Carry the chunks; return the tokens of those that can't be, each with the reason."""

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        """Return which claims (token: queue) are still on their way to a worker."""

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        """Sleep until the doorbell rings, `wake` is set, or the time is over."""


class RqTransport:
    """RQ, through django-rq's queues, over connections of its own that are kept."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._bell: Redis | None = None

    def check(self) -> None:
        try:
            self._bell_connection().ping()
        except RedisError as error:
            raise TransportUnavailable(_first_line(error)) from error

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        refused: dict[UUID, str] = {}
        by_queue: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            if chunk.queue in django_rq_settings.QUEUES:
                by_queue[chunk.queue].append(chunk)
            else:
                refused[chunk.token] = f"there is no queue {chunk.queue!r} in RQ_QUEUES"
        down: dict[str, RedisError] = {}
        for name, part in by_queue.items():
            try:
                queue = self._queue(name)
                queue.enqueue_many([_job(queue, chunk, using) for chunk in part])
            except RedisError as error:
                down[name] = error
                refused |= dict.fromkeys((c.token for c in part), f"Redis is away: {error}")
        if down:
            self._queues.clear()
        if down and len(down) == len(by_queue):
            error = next(iter(down.values()))
            raise TransportUnavailable(_first_line(error)) from error
        return refused

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        by_queue: dict[str, list[UUID]] = defaultdict(list)
        for token, name in claims.items():
            if name in django_rq_settings.QUEUES:
                by_queue[name].append(token)
        try:
            return {t for name, part in by_queue.items() for t in self._alive_in(name, part)}
        except RedisError as error:
            self._queues.clear()
            raise TransportUnavailable(_first_line(error)) from error

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        deadline = time.monotonic() + seconds
        key = bell_key(using)
        while not wake.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                # A signal does not interrupt the client's read, so it must not read for long.
                if self._bell_connection().blpop([key], timeout=min(left, 1.0)):
                    self._bell_connection().delete(key)
                    return
            except RedisError:
                self._bell = None
                wake.wait(min(left, 1.0))

    def _queue(self, name: str) -> Queue:
        # Kept: django_rq.get_queue() opens a new connection at each call.
        if name not in self._queues:
            self._queues[name] = django_rq.get_queue(name, connection=_connect(name, TIMEOUT))
        return self._queues[name]

    def _bell_connection(self) -> Redis:
        if self._bell is None:
            self._bell = _connect(conf.get("QUEUE"), TIMEOUT)
        return self._bell

    def _alive_in(self, name: str, tokens: Sequence[UUID]) -> set[UUID]:
        """Ask for the jobs' hashes and for the queue's list: either may be lost without the other.

        A job that was popped and not started is not on its way any more: nothing in RQ would
        start it again. A started one shows in the database, by the delivery that runs.
        """
        queue = self._queue(name)
        with queue.connection.pipeline(transaction=False) as pipe:
            pipe.lrange(queue.key, 0, -1)
            for token in tokens:
                pipe.hget(queue.job_class.key_for(job_id(token)), "status")
            listed, *statuses = pipe.execute()
        waiting = {_text(entry) for entry in listed}
        return {
            token
            for token, status in zip(tokens, statuses, strict=True)
            if status is not None
            and _text(status) == JobStatus.QUEUED.value
            and job_id(token) in waiting
        }


class InlineTransport:
    """No transport at all: the consumers run in the relay's own process."""

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping

    def check(self) -> None:
        return

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        refused = {}
        for chunk in chunks:
            if self._stopping():
                refused[chunk.token] = ""
                continue
            timeout = _timeout_of(chunk, DEFAULT_TIMEOUT)
            try:
                consume(chunk.delivery_ids, token=chunk.token.hex, using=using, timeout=timeout)
            except SystemExit as error:
                # A subscriber's, and recorded as its failure. It ends a worker, not the relay.
                logger.warning("a subscriber of %s called exit: %s", chunk.subscriber, error)
        return refused

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        # What this process does not run now, nobody runs: the claims of another inline relay
        # are shown by the delivery that runs.
        return set()

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        wake.wait(seconds)


def bell_key(using: str) -> str:
    """Return the Redis key of a database's doorbell; other sites may share the Redis."""
    return f"eda_django:{conf.get('SOURCE')}:bell:{using}"


class _Bell:
    """The connection that rings; kept, because opening one takes longer than ringing."""

    def __init__(self) -> None:
        self._config: Any = None
        self._connection: Redis | None = None

    def ring(self, using: str) -> None:
        key = bell_key(using)
        with self._connected().pipeline(transaction=False) as pipe:
            pipe.lpush(key, 1)
            pipe.ltrim(key, 0, MAX_RINGS - 1)
            pipe.execute()

    def _connected(self) -> Redis:
        config = django_rq_settings.QUEUES[conf.get("QUEUE")]
        if self._connection is None or config != self._config:
            self._connection = _connect(conf.get("QUEUE"), BELL_TIMEOUT)
            self._config = dict(config)
        return self._connection


doorbell = Doorbell(_Bell().ring)


def ring(*, using: str, **_: Any) -> None:
    """Wake a relay of this database; receives events_committed and deliveries_released."""
    doorbell.ring(using)


def flush_doorbell(**_: Any) -> None:
    """Let the doorbell ring now; receives chunk_finished."""
    doorbell.flush(BELL_TIMEOUT)


def _job(queue: Queue, chunk: Chunk, using: str) -> EnqueueData:
    """Return what RQ is to run: ids, no payload. Retries are ours, and results are of no use."""
    limit = _timeout_of(chunk, queue._default_timeout)
    count = len(chunk.delivery_ids)
    return queue.prepare_data(
        consume,
        args=(list(chunk.delivery_ids),),
        kwargs={"token": chunk.token.hex, "using": using, "timeout": limit},
        timeout=-1 if limit is None else int(limit + TIME_SLICE + MARGIN),
        result_ttl=0,
        failure_ttl=FAILURE_TTL,
        job_id=chunk.job_id,
        description=f"{count} {'delivery' if count == 1 else 'deliveries'} for {chunk.subscriber}",
    )


def _timeout_of(chunk: Chunk, default: float | None) -> float | None:
    """Return the seconds an attempt may take; RQ spells "no limit" as -1."""
    subscription = registry.get(chunk.subscriber)
    limit = (subscription.timeout if subscription else None) or default
    return limit if limit and limit > 0 else None


def _connect(queue: str, seconds: float) -> Redis:
    """Open a connection to a queue's Redis that cannot hang for longer than `seconds`."""
    connection = django_rq.get_connection(queue)
    if "USE_REDIS_CACHE" in django_rq_settings.QUEUES[queue]:
        # Shared with the site's cache, whose options are not ours to change.
        return connection
    options = connection.connection_pool.connection_kwargs
    for name in ("socket_timeout", "socket_connect_timeout"):
        if options.get(name) is None:
            options[name] = seconds
    # The relay has its own backoff, and a push that is repeated is a push too many.
    options["retry"] = RedisRetry(NoBackoff(), 0)
    return connection


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__qualname__])[0]
