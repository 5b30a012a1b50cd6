"""The subscribers of the children: each writes twice, so that one can die in between."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from eda_django import Event, Retry, subscribes
from eda_django.dispatch import rq_transport
from tests import world
from tests.faults import clocks
from tests.faults.publishing import SECRET
from tests.testapp.models import Effect

QUICK = Retry(max_attempts=3, base=0.05, factor=1.0, jitter=0.0)


def configure(
    *,
    lease: float,
    redis_port: int | None = None,
    patience: float | None = None,
    database: dict[str, Any] | None = None,
    clock: float = 0.0,
    memory: int = 0,
    limited: bool = True,
    behind: dict[str, int] | None = None,
) -> None:
    """Tell a child of its world, before it has looked around.

    `redis_port` and `database` say where its servers are, `patience` how many seconds Redis has
    to answer, `clock` by how many seconds its clock is wrong, `memory` how many bytes it may take
    beside those it has, `limited` whether an attempt's time is limited, `behind` which queues a
    relay finds to be behind, and by how many jobs.
    """
    world.configure(lease=lease, redis_port=redis_port)
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "REDACT": ["card"]}
    if patience:
        vars(rq_transport)["TIMEOUT"] = patience
    connections.settings[DEFAULT_DB_ALIAS].update(database or {})
    if not limited:
        settings.RQ_QUEUES["default"]["DEFAULT_TIMEOUT"] = -1
    if clock:
        clocks.shift(clock)
    if behind:
        vars(rq_transport)["RqTransport"].ahead = lambda transport: behind
    if memory:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def write(event: Event[Any], subscriber: str, note: str) -> None:
    Effect.objects.create(
        subscriber=subscriber, event_id=event.id, attempt=event.attempt, note=note
    )


@subscribes("faults.happened", name="faults.pair", queue="default", retry=QUICK)
def pair(event: Event[Any]) -> None:
    write(event, "faults.pair", "first")
    write(event, "faults.pair", "second")
    behave = event.data["behave"] if event.attempt == 1 else ""
    if behave == "fail":
        raise RuntimeError("the first attempt fails")
    if behave == "exit":
        raise SystemExit(3)


@subscribes("faults.happened", "faults.hostile", name="faults.bystander", queue="slow", retry=QUICK)
def bystander(event: Event[Any]) -> None:
    """Stands for everybody else: nothing may happen to it."""
    write(event, "faults.bystander", "only")


@subscribes(
    "faults.bare", name="faults.bare", queue="default", retry=QUICK, atomic=False, timeout=60
)
def bare(event: Event[Any]) -> None:
    write(event, "faults.bare", "first")
    write(event, "faults.bare", "second")


@subscribes("faults.hooked", name="faults.hooked", queue="default", retry=QUICK)
def hooked(event: Event[Any]) -> None:
    write(event, "faults.hooked", "written")
    transaction.on_commit(lambda: write(event, "faults.hooked", "hook"))


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words for it")


class Hiding(Exception):
    """Lies about everything that one reads of an exception."""

    @property
    def __traceback__(self) -> Any:
        raise RuntimeError("no traceback")

    @__traceback__.setter
    def __traceback__(self, value: Any) -> None:
        """Let contextlib think that it has set it."""


class Text(str):
    """A text that can do nothing that a text can."""

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def replace(self, *args: Any) -> str:
        raise RuntimeError("no replacement")


class Wordy(Exception):
    def __str__(self) -> str:
        return Text("what was wrong")


class Bottomless(BaseException):
    """No Exception, so that `except Exception` does not see it."""


def recurse(event: Event[Any]) -> None:
    recurse(event)


def raising(error: BaseException) -> Callable[[Event[Any]], None]:
    def misbehave(event: Event[Any]) -> None:
        raise error

    return misbehave


# What a subscriber may do, at every attempt. The first ones end their process.
HOSTILE: dict[str, Callable[[Event[Any]], Any]] = {
    "kill": lambda event: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda event: os.kill(os.getpid(), signal.SIGSEGV),
    "leave": lambda event: os._exit(1),
    "leave well": lambda event: os._exit(0),
    "exit": raising(SystemExit(f"card {SECRET}")),
    "interrupt": raising(KeyboardInterrupt(f"card {SECRET}")),
    "memory": lambda event: bytearray(1 << 60),
    "recursion": recurse,
    "base": raising(Bottomless("from below")),
    "nul": raising(ValueError("a\x00b")),
    "surrogate": raising(ValueError("a\ud800b")),
    "huge": raising(ValueError("x" * 10_000_000)),
    "unprintable": raising(Unprintable()),
    "hiding": raising(Hiding("somewhere")),
    "wordy": raising(Wordy()),
    "disconnect": lambda event: connection.connection.close(),
}


@subscribes("faults.hostile", name="faults.hostile", queue="default", retry=QUICK)
def hostile(event: Event[Any]) -> None:
    write(event, "faults.hostile", event.data["behave"])
    if behave := event.data["behave"]:
        HOSTILE[behave](event)
