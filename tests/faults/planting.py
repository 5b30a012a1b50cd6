"""Breaks a process between two of its steps. Planted into a test's own child, never in the library.

A plan is read like "after create_queued, before COMMIT": each step arms the next, and at the last
one the process meets its fate: it dies, or freezes, or its connection to the database is cut. "#3"
means the third time.
"""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import wraps
from importlib import import_module
from inspect import getattr_static
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

SEAMS = {
    # The database's own commit: the last thing before it, and the first after it.
    "COMMIT": "django.db.backends.base.base:BaseDatabaseWrapper._commit",
    "publish": "eda_django.outbox:publish",
    # The relay's steps.
    "lock_fresh": "eda_django.models.outbox:OutboxQuerySet.lock_fresh",
    "create_queued": "eda_django.models.verbs:DeliveryQuerySet.create_queued",
    "create_pending": "eda_django.models.verbs:DeliveryQuerySet.create_pending",
    "mark_relayed": "eda_django.models.outbox:OutboxQuerySet.mark_relayed",
    "claim_due": "eda_django.models.verbs:DeliveryQuerySet.claim_due",
    "push": "eda_django.dispatch.rq_transport:RqTransport.push",
    "enqueue_many": "rq:Queue.enqueue_many",
    # Whatever redis-py sends that has this word in it: what one transaction of Redis is made of.
    "MULTI": "redis.connection:AbstractConnection.send_packed_command",
    "alive": "eda_django.dispatch.rq_transport:RqTransport.alive",
    "requeue": "eda_django.models.verbs:DeliveryQuerySet.requeue",
    "lock_lapsed_running": "eda_django.models.verbs:DeliveryQuerySet.lock_lapsed_running",
    "prune": "eda_django.models.outbox:OutboxQuerySet.prune",
    "delete": "eda_django.models.by_key:delete",
    # The worker's.
    "lpop": "rq:Queue.lpop",
    "lmove": "rq:Queue.lmove",
    "perform_job": "rq.worker:BaseWorker.perform_job",
    "consume": "eda_django.job:consume",
    "start": "eda_django.models.verbs:DeliveryQuerySet.start",
    "lock_running": "eda_django.models.verbs:DeliveryQuerySet.lock_running",
    "call": "eda_django.execution:Execution.call",
    "write": "tests.faults.site:write",
    "settle": "eda_django.models.verbs:DeliveryQuerySet.settle",
    "save_attempt": "eda_django.models.attempt:Attempt.save",
    "release": "eda_django.models.verbs:DeliveryQuerySet.release",
    "job_success": "rq.worker:BaseWorker.handle_job_success",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One place on the way: before, halfway through or after the nth passing of a seam."""

    when: str
    seam: str
    nth: int

    @classmethod
    def parse(cls, words: str) -> "Step":
        when, seam, *nth = words.replace("#", " ").split()
        assert when in ("before", "halfway", "after"), words
        return cls(when=when, seam=seam, nth=int(nth[0]) if nth else 1)


class Fate(Enum):
    """What happens to the process."""

    DEATH = "death"
    # Until somebody sends SIGCONT.
    FROST = "frost"
    # Its connection to the database ends, and says so.
    CUT = "cut"


@dataclass(slots=True, kw_only=True)
class Plan:
    """Where the process meets its fate. That creates `mark`: one plan does it once."""

    words: str
    mark: Path
    fate: Fate = Fate.DEATH
    at: int = 0
    passed: int = 0
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [Step.parse(part) for part in self.words.split(",")]

    def plant(self) -> None:
        for seam in dict.fromkeys(step.seam for step in self.steps):
            self._wrap(seam)

    def is_next(self, when: str, seam: str) -> bool:
        """Return whether it must happen here; on the way there, arm what comes next."""
        if self.at == len(self.steps):
            return False
        step = self.steps[self.at]
        if (step.when, step.seam) != (when, seam):
            return False
        self.passed += 1
        if self.passed < step.nth:
            return False
        self.at, self.passed = self.at + 1, 0
        return self.at == len(self.steps)

    def strike(self) -> None:
        try:
            handle = os.open(self.mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return
        os.write(handle, str(os.getpid()).encode())
        os.close(handle)
        if self.fate is Fate.CUT:
            cut()
        is_end = self.fate is Fate.DEATH
        os.kill(os.getpid(), signal.SIGKILL if is_end else signal.SIGSTOP)

    def _wrap(self, seam: str) -> None:
        module, _, path = SEAMS[seam].partition(":")
        *owners, name = path.split(".")
        owner: Any = import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        is_bound = isinstance(getattr_static(owner, name), classmethod)
        original = getattr(owner, name)
        wrapped = self._around(seam, original)
        setattr(owner, name, staticmethod(wrapped) if is_bound else wrapped)

    def _around(self, seam: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if seam == "MULTI" and seam.encode() not in packed(args[1]):
                return original(*args, **kwargs)
            if self.is_next("before", seam):
                self.strike()
            if self.is_next("halfway", seam):
                send_half(*args)
                self.strike()
            result = original(*args, **kwargs)
            if self.is_next("after", seam):
                self.strike()
            return result

        return wrapped


def cut() -> None:
    """End the connection to the database; raise what the driver would."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    raw = connection.connection
    if connection.vendor == "sqlite":
        raw.close()
    else:
        # Not by the driver, which would know of it. PyMySQL has a socket, the others tell theirs.
        number = (raw if hasattr(raw, "fileno") else raw._sock).fileno()
        with socket.socket(fileno=os.dup(number)) as end:
            end.shutdown(socket.SHUT_RDWR)
    with connection.wrap_database_errors:
        raise connection.Database.OperationalError("the connection was cut")


def send_half(connection: Any, command: Any, *_: Any) -> None:
    """Send the first half of what redis-py has packed."""
    data = packed(command)
    connection._sock.sendall(data[: len(data) // 2])


def packed(command: Any) -> bytes:
    """Return what is sent in one piece."""
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in command)
