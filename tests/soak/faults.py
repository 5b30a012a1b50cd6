"""What is done to the processes and servers, in a sequence that is drawn from the seed."""

import heapq
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from example_project.demo.redis_server import RedisServer
from tests.soak.pieces import Forked
from tests.soak.place import LEASE

# How often each happens, compared with the others.
WEIGHTS = {
    "kill a relay": 4,
    "kill a worker": 5,
    "kill a work horse": 5,
    "kill a worker and its work horse": 2,
    "kill a publisher": 3,
    "freeze a relay": 1,
    "freeze a worker": 1,
    "freeze a work horse": 1,
    "flush Redis": 3,
    "kill Redis": 1,
    "freeze Redis": 1,
}
# In place of the second, on SQLite, there is the one write lock.
SERVER_WEIGHTS = {"cut a connection": 4, "cut all connections": 1}
SQLITE_WEIGHTS = {"hold the write lock": 2}
# Seconds between two faults.
SHORTEST, LONGEST = 0.2, 1.0
# Seconds that something is frozen: processes longer than the lease, Redis up to the relay's
# patience.
FREEZE = (1.2 * LEASE, 2.0 * LEASE)
REDIS_FREEZE = (0.5, 6.0)
REDIS_DOWN = (0.0, 2.0)
HELD = (0.3, 1.5)
# What was hit: its name, and the process that is no more.
Hit = tuple[str, int]
REDIS: Hit = ("redis", 0)
DATABASE: Hit = ("database", 0)
# Seconds that a fault waits for somebody it can hit.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One of the sequence. `draw` decides between those who are there when it strikes."""

    number: int
    kind: str
    draw: float
    # Seconds until the next.
    pause: float
    # Where in its span a fault that lasts is to end, 0 to 1.
    length: float

    def seconds(self, span: tuple[float, float]) -> float:
        return span[0] + (span[1] - span[0]) * self.length


def sequence(seed: int, weights: dict[str, int]) -> Iterator[Fault]:
    """Return what happens, and in which order; the same for the same seed."""
    draw = random.Random(f"faults/{seed}")
    for number in count(1):
        [kind] = draw.choices(list(weights), list(weights.values()))
        yield Fault(
            number=number,
            kind=kind,
            draw=draw.random(),
            pause=draw.uniform(SHORTEST, LONGEST),
            length=draw.random(),
        )


class Database(Protocol):
    """What can be done to a database from outside."""

    def cut(self, draw: float | None) -> bool:
        """End one connection, or all; return whether there was any."""

    def hold(self, seconds: float) -> None:
        """Keep everybody from writing."""


@dataclass(slots=True, kw_only=True)
class Cast:
    """Everything that can be hit."""

    relays: list[Forked]
    workers: list[Forked]
    publishers: list[Forked]
    redis: RedisServer
    database: Database
    # Has the supervisor leave Redis down, or start it again.
    let_redis_run: Callable[[bool], None]


@dataclass(slots=True)
class Injector:
    """Strikes when the time has come; what lasts is undone by a later step."""

    faults: Iterator[Fault]
    cast: Cast
    # Called with the kind, the name of what was hit, and the process that was killed, or 0.
    on_fault: Callable[[str, str, int], None]
    clock: Callable[[], float] = time.monotonic
    struck: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    _next: Fault | None = None
    _next_at: float = 0.0
    _gives_up_at: float = 0.0
    _undo: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)
    _frozen: dict[str, int] = field(default_factory=dict)

    def step(self) -> None:
        """Do what is due now."""
        now = self.clock()
        while self._undo and self._undo[0][0] <= now:
            heapq.heappop(self._undo)[2]()
        if now < self._next_at:
            return
        if self._next is None:
            self._next, self._gives_up_at = next(self.faults), now + PATIENCE
        if hit := self._strike(self._next):
            self.struck[self._next.kind] += 1
            self.on_fault(self._next.kind, *hit)
        elif now < self._gives_up_at:
            return
        else:
            self.missed[self._next.kind] += 1
        self._next_at = now + self._next.pause
        self._next = None

    def end(self) -> None:
        """Undo everything that lasts."""
        while self._undo:
            heapq.heappop(self._undo)[2]()

    def _strike(self, fault: Fault) -> Hit | None:
        """Return what was hit, None if nothing is there that could be."""
        verb, _, what = fault.kind.partition(" ")
        if what == "Redis":
            return REDIS if self._strike_redis(verb, fault) else None
        if verb == "cut":
            found = self.cast.database.cut(None if what.startswith("all") else fault.draw)
            return DATABASE if found else None
        if verb == "hold":
            self.cast.database.hold(fault.seconds(HELD))
            return DATABASE
        return self._strike_process(verb, what, fault)

    def _strike_process(self, verb: str, what: str, fault: Fault) -> Hit | None:
        candidates = self._candidates(what)
        if not candidates:
            return None
        piece, pids = candidates[int(fault.draw * len(candidates))]
        handles = [handle for pid in pids if (handle := opened(pid)) is not None]
        if not handles or (piece.pid in pids and not piece.is_running):
            return None
        for handle in handles:
            send(handle, signal.SIGKILL if verb == "kill" else signal.SIGSTOP)
        if verb == "freeze":
            self._frozen[piece.name] = fault.number
            self._later(fault, FREEZE, lambda: self._thaw(piece.name, handles))
        else:
            close(handles)
        is_gone = verb == "kill" and piece.pid in pids
        return piece.name, piece.pid or 0 if is_gone else 0

    def _candidates(self, what: str) -> list[tuple[Forked, list[int]]]:
        """Return whom this can hit, with the processes that are meant; nobody who is frozen."""
        cast = {"relay": self.cast.relays, "publisher": self.cast.publishers}
        pieces = cast.get(what.split()[-1], self.cast.workers)
        found = []
        for piece in pieces:
            if piece.pid is None or not piece.is_running or piece.name in self._frozen:
                continue
            horses = piece.children
            pids = {"a work horse": horses, "a worker and its work horse": [piece.pid, *horses]}
            if chosen := pids.get(what, [piece.pid]):
                found.append((piece, chosen))
        if what == "a worker and its work horse":
            found = [(piece, pids) for piece, pids in found if len(pids) > 1]
        return found

    def _thaw(self, name: str, handles: list[int]) -> None:
        self._frozen.pop(name, None)
        for handle in handles:
            send(handle, signal.SIGCONT)
        close(handles)

    def _strike_redis(self, verb: str, fault: Fault) -> bool:
        server = self.cast.redis
        # One that has just been started is being waited for by the supervisor.
        if server.pid is None or "redis" in self._frozen or not answers(server):
            return False
        if verb == "flush":
            return flush(server)
        handle = opened(server.pid)
        if handle is None:
            return False
        self._frozen["redis"] = fault.number
        if verb == "kill":
            self.cast.let_redis_run(False)
            send(handle, signal.SIGKILL)
            self._later(fault, REDIS_DOWN, lambda: self._restart_redis([handle]))
        else:
            send(handle, signal.SIGSTOP)
            self._later(fault, REDIS_FREEZE, lambda: self._thaw("redis", [handle]))
        return True

    def _restart_redis(self, handles: list[int]) -> None:
        self._frozen.pop("redis", None)
        close(handles)
        self.cast.let_redis_run(True)

    def _later(self, fault: Fault, span: tuple[float, float], undo: Callable[[], Any]) -> None:
        heapq.heappush(self._undo, (self.clock() + fault.seconds(span), fault.number, undo))


def answers(server: RedisServer) -> bool:
    try:
        with Redis.from_url(server.url, socket_timeout=0.2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def flush(server: RedisServer) -> bool:
    try:
        with Redis.from_url(server.url, socket_timeout=1.0) as client:
            return bool(client.flushall())
    except RedisError:
        return False


def opened(pid: int) -> int | None:
    """Return a handle of the process, which never means another one that gets its number."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def send(handle: int, number: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)
