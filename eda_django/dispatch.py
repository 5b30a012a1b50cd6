"""How deliveries reach workers, and commits reach relays: the only module that knows RQ."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

import django_rq
from django_rq import settings as django_rq_settings
from django_rq.connection_utils import filter_connection_params
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as RedisRetry
from rq import Queue
from rq.job import JobStatus
from rq.queue import EnqueueData

from . import conf
from .chunks import JOB, Chunk, job_id
from .consumer import TIME_SLICE, consume
from .doorbell import Doorbell
from .exceptions import TransportUnavailable
from .registry import registry

logger = logging.getLogger("eda_django")

# Seconds that a call to Redis may take before Redis counts as away.
TIMEOUT = 5.0
# The same for the doorbell, which has a backstop.
BELL_TIMEOUT = 0.5
# Seconds that a Redis which failed is let alone, where there are several.
REST = 5.0
# The most jobs of a queue that are looked through for those in question.
HEAD = 5_000
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
    """RQ, through django-rq's queues, over connections of its own that are kept.

    Queues may live on several Redis servers. One that is away delays what goes through it, and
    nothing else; only when none answers there is no transport.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues: dict[str, Queue] = {}
        self._bell: Redis | None = None
        self._clock = clock
        self._resting: dict[str, float] = {}

    def check(self) -> None:
        self._require_any_but({})

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        refused: dict[UUID, str] = {}
        by_queue: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            if has_queue(chunk.queue):
                by_queue[chunk.queue].append(chunk)
            else:
                refused[chunk.token] = f"there is no queue {chunk.queue!r} in RQ_QUEUES"
        down: dict[str, RedisError] = {}
        for name, part in by_queue.items():
            reason = ""
            try:
                with self._reach(name) as queue:
                    # One MULTI for all of them: they arrive together or not at all.
                    queue.enqueue_many([_job(queue, chunk, using) for chunk in part])
            except RedisError as error:
                down[name] = error
                reason = f"Redis is away: {_first_line(error)}"
            except Exception as error:
                # A site's own queue class or serializer.
                reason = f"{type(error).__qualname__}: {_first_line(error)}"
            if reason:
                refused |= dict.fromkeys((chunk.token for chunk in part), reason)
        if len(down) == len(by_queue):
            self._require_any_but(down)
        return refused

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        by_queue: dict[str, list[UUID]] = defaultdict(list)
        for token, name in claims.items():
            if has_queue(name):
                by_queue[name].append(token)
        alive: set[UUID] = set()
        down: dict[str, RedisError] = {}
        for name, tokens in by_queue.items():
            try:
                with self._reach(name) as queue:
                    alive |= _alive_in(queue, tokens)
            except RedisError as error:
                # Unknown, so it is asked again after another lease.
                down[name] = error
                alive.update(tokens)
        if len(down) == len(by_queue):
            self._require_any_but(down)
        return alive

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        deadline = time.monotonic() + seconds
        key = bell_key(using)
        while not wake.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                # Not long, because a signal does not interrupt the client's read; and not 0,
                # not even rounded, because that means for ever.
                if self._bell_connection().blpop([key], timeout=min(max(left, 0.01), 1.0)):
                    self._bell_connection().delete(key)
                    return
            except RedisError:
                self._bell = None
                wake.wait(min(left, 1.0))

    def _bell_connection(self) -> Redis:
        if self._bell is None:
            self._bell = _connect(conf.get("QUEUE"), TIMEOUT)
        return self._bell

    @contextmanager
    def _reach(self, name: str) -> Iterator[Queue]:
        """Yield a queue to talk to. A server that fails is let alone for a while.

        One that hangs would otherwise cost every turn of the relay its time-out.
        """
        server = _server(name)
        if self._clock() < self._resting.get(server, 0.0):
            raise RedisError("it did not answer a moment ago")
        try:
            # Kept: django_rq.get_queue() opens a new connection at each call.
            if name not in self._queues:
                self._queues[name] = django_rq.get_queue(
                    name, connection=_connect(name, TIMEOUT), commit_mode="auto"
                )
            yield self._queues[name]
        except RedisError:
            self._queues.clear()
            self._resting[server] = self._clock() + REST
            raise

    def _require_any_but(self, down: Mapping[str, RedisError]) -> None:
        """Raise TransportUnavailable unless a server answers that is not one of these queues'."""
        errors: dict[str, RedisError] = {}
        for name, error in down.items():
            errors.setdefault(_server(name), error)
        for server, name in _servers_in_use().items():
            if server in errors:
                continue
            try:
                with self._reach(name) as queue:
                    queue.connection.ping()
                return
            except RedisError as error:
                errors[server] = error
        # From here on it is the relay that pauses.
        self._resting.clear()
        if errors:
            cause = next(iter(errors.values()))
            raise TransportUnavailable(_first_line(cause)) from cause


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
            except SystemExit:
                # A subscriber's, and recorded as its failure. It ends a worker, not the relay.
                # Its text may be private.
                logger.warning("a subscriber of %s called exit", chunk.subscriber)
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


def has_queue(name: str) -> bool:
    """Return whether RQ_QUEUES has a queue of this name."""
    return name in django_rq_settings.QUEUES


def _servers_in_use() -> dict[str, str]:
    """Return one queue for each Redis server that the running code's deliveries go through."""
    names = {conf.get("QUEUE"), *(s.queue for s in registry if s.queue)}
    return {_server(name): name for name in sorted(names) if has_queue(name)}


def _server(queue: str) -> str:
    return repr(sorted(filter_connection_params(django_rq_settings.QUEUES[queue]).items()))


def _alive_in(queue: Queue, tokens: Sequence[UUID]) -> set[UUID]:
    """Ask for the jobs' hashes and for the queue's list: either may be lost without the other.

    A job that was popped and not started is not on its way any more: nothing in RQ would start
    it again. A started one shows in the database, by the delivery that runs. Of a long list only
    the head is read, and the rest believed: what is missing there is found as the list shortens.
    """
    with queue.connection.pipeline(transaction=False) as pipe:
        pipe.llen(queue.key)
        pipe.lrange(queue.key, 0, HEAD - 1)
        for token in tokens:
            pipe.hget(queue.job_class.key_for(job_id(token)), "status")
        length, head, *statuses = pipe.execute()
    listed = {_text(entry) for entry in head}
    queued = {
        token
        for token, status in zip(tokens, statuses, strict=True)
        if status is not None and _text(status) == JobStatus.QUEUED.value
    }
    if length > HEAD:
        return queued
    alive = {token for token in queued if job_id(token) in listed}
    _let_expire(queue, queued - alive)
    return alive


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


def _job(queue: Queue, chunk: Chunk, using: str) -> EnqueueData:
    """Return what RQ is to run: ids, no payload. Retries are ours, and results are of no use."""
    limit = _timeout_of(chunk, queue._default_timeout)
    count = len(chunk.delivery_ids)
    return queue.prepare_data(
        JOB,
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
    pool = connection.connection_pool
    sentinels = getattr(getattr(pool, "sentinel_manager", None), "sentinels", ())
    for part in (pool, *(sentinel.connection_pool for sentinel in sentinels)):
        options = part.connection_kwargs
        options["socket_timeout"] = options["socket_connect_timeout"] = seconds
        # The relay has its own backoff, and a push that is repeated is a push too many.
        options["retry"] = RedisRetry(NoBackoff(), 0)
    return connection


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _first_line(error: Exception) -> str:
    # The client's texts may hold a description of every connection it has.
    return (str(error).splitlines() or [type(error).__qualname__])[0][:200]
