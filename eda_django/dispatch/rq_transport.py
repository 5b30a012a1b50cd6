"""Pushing chunks as RQ jobs, asking which of them are alive, and waiting for the doorbell."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

import django_rq
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from ..chunks import Chunk
from ..exceptions import TransportUnavailable, first_line
from .backlog import Backlog
from .bell import bell_key
from .connections import connect, default_queue, has_queue, queues_in_use, server_of
from .jobs import alive_in, is_one_keys, job_for

logger = logging.getLogger("eda_django")

# Seconds that a call to Redis may take before Redis counts as away.
TIMEOUT = 5.0
# Seconds that a Redis which failed is let alone, where there are several.
REST = 5.0
# Characters of an error: the client's may describe every connection that it has.
LINE = 200


class RqTransport:
    """RQ, through django-rq's queues, over connections of its own that are kept.

    Queues may live on several Redis servers. One that is away delays what goes through it, and
    nothing else, and so does a queue that RQ can't build; only when none answers there is no
    transport.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues: dict[str, Queue] = {}
        self._bell: Redis | None = None
        self._has_rung = False
        self._clock = clock
        self._resting: dict[str, float] = {}
        self._backlog = Backlog(clock)

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
        failed: dict[str, Exception] = {}
        for name, part in by_queue.items():
            try:
                with self._reach(name) as queue:
                    # One MULTI for all of them, which arrive together.
                    queue.enqueue_many([job_for(queue, chunk, using) for chunk in part])
            except Exception as error:
                lost = self._take_back(name, part) if is_one_keys(error) else part
                refused |= dict.fromkeys((chunk.token for chunk in lost), _reason(error))
                if not is_one_keys(error):
                    failed[name] = error
            else:
                self._measure(queue, len(part))
        if len(failed) == len(by_queue):
            self._require_any_but(failed)
        return refused

    def ahead(self) -> Mapping[str, int]:
        return self._backlog.ahead()

    def has_queue(self, name: str) -> bool:
        return has_queue(name)

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        by_queue: dict[str, list[UUID]] = defaultdict(list)
        for token, name in claims.items():
            if has_queue(name):
                by_queue[name].append(token)
        alive: set[UUID] = set()
        failed: dict[str, Exception] = {}
        for name, tokens in by_queue.items():
            try:
                with self._reach(name) as queue:
                    alive |= alive_in(queue, tokens)
            except Exception as error:
                # Unknown, so it is asked again after another lease.
                alive.update(tokens)
                if not is_one_keys(error):
                    failed[name] = error
                if not isinstance(error, RedisError):
                    logger.error("can't ask queue=%s: %s", name, _reason(error))
        if len(failed) == len(by_queue):
            self._require_any_but(failed)
        return alive

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        deadline = time.monotonic() + seconds
        key = bell_key(using)
        if seconds <= 0:
            self._forget_rings(key)
        while not wake.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                # Not long, because a signal does not interrupt the client's read; and not 0,
                # not even rounded, because that means for ever.
                if self._bell_connection().blpop([key], timeout=min(max(left, 0.01), 1.0)):
                    self._has_rung = True
                    return True
            except RedisError:
                self._bell = None
                wake.wait(min(left, 1.0))
        return False

    def _measure(self, queue: Queue, jobs: int) -> None:
        # What is pushed is pushed, whatever becomes of this.
        with suppress(Exception):
            with queue.connection.pipeline(transaction=False) as pipe:
                pipe.llen(queue.key)
                pipe.scard(WORKERS_BY_QUEUE_KEY % queue.name)
                length, workers = pipe.execute()
            self._backlog.note(queue.name, jobs=jobs, length=length, workers=workers)

    def _take_back(self, name: str, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return which chunks have not arrived, though the MULTI that carried them went on.

        It goes on after a command that fails. Where that was not the queue itself, but the list of
        the queues' names, all have arrived, and a worker may have them. Else their jobs would stay
        for ever, and more each time.
        """
        with suppress(RedisError), self._reach(name) as queue:
            try:
                queue.connection.llen(queue.key)
            except ResponseError:
                queue.connection.delete(*[queue.job_class.key_for(c.job_id) for c in chunks])
            else:
                return []
        return list(chunks)

    def _forget_rings(self, key: str) -> None:
        """Have rings that came with the one that was heard wake nobody: a look comes next.

        Not when it is heard, because a subscriber waits for what it rang for.
        """
        if self._has_rung:
            self._has_rung = False
            with suppress(RedisError):
                self._bell_connection().delete(key)

    def _bell_connection(self) -> Redis:
        if self._bell is None:
            self._bell = connect(default_queue(), TIMEOUT)
        return self._bell

    @contextmanager
    def _reach(self, name: str) -> Iterator[Queue]:
        """Yield a queue to talk to. A server that fails is let alone for a while.

        One that hangs would otherwise cost every turn of the relay its time-out.
        """
        server = server_of(name)
        if self._clock() < self._resting.get(server, 0.0):
            raise RedisError("it did not answer a moment ago")
        try:
            # Kept: django_rq.get_queue() opens a new connection at each call.
            if name not in self._queues:
                self._queues[name] = django_rq.get_queue(
                    name, connection=connect(name, TIMEOUT), commit_mode="auto"
                )
            yield self._queues[name]
        except RedisError as error:
            if not is_one_keys(error):
                self._queues.clear()
                self._resting[server] = self._clock() + REST
            raise

    def _require_any_but(self, failed: Mapping[str, Exception]) -> None:
        """Raise TransportUnavailable unless a server answers that is not one of these queues'.

        A queue that can't be built tells nothing of its server, so the next one is asked.
        """
        away: dict[str, RedisError] = {}
        unusable: dict[str, Exception] = {}
        for name, error in failed.items():
            if isinstance(error, RedisError):
                away.setdefault(server_of(name), error)
        for name in queues_in_use():
            server = server_of(name)
            if server in away:
                continue
            try:
                with self._reach(name) as queue:
                    queue.connection.ping()
                return
            except RedisError as error:
                away[server] = error
            except Exception as error:
                unusable[name] = error
        # From here on it is the relay that pauses.
        self._resting.clear()
        for cause in away.values():
            raise TransportUnavailable(first_line(cause, limit=LINE)) from cause
        for name, why in unusable.items():
            raise TransportUnavailable(f"queue {name!r} can't be used: {_reason(why)}") from why


def _reason(error: Exception) -> str:
    """Return why a push failed; not always Redis, but perhaps a site's own queue or serializer."""
    line = first_line(error, limit=LINE)
    if isinstance(error, ResponseError):
        return f"Redis refuses: {line}"
    if isinstance(error, RedisError):
        return f"Redis is away: {line}"
    return f"{type(error).__qualname__}: {line}"
