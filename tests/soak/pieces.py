"""The soak's processes, as the demo's supervisor keeps them running: forked, which is quick."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from example_project.demo.pieces import last_lines
from tests.forking import Fork, command
from tests.offspring import descendants

# Seconds that a process gets to end by itself.
PARTING = 10.0


class Forked:
    """One process, and its successors after each death."""

    def __init__(self, name: str, log: Path, work: Callable[..., Any], *args: Any) -> None:
        self.name, self.log = name, log
        self._work, self._args = work, args
        self._fork: Fork | None = None
        # How often it has ended with which exit code; negative ones are signals.
        self.ends: Counter[int] = Counter()

    @property
    def pid(self) -> int | None:
        return self._fork.pid if self._fork else None

    @property
    def is_running(self) -> bool:
        return self._fork is not None and self._fork.is_running

    @property
    def children(self) -> list[int]:
        """What it has forked: a worker's work horse."""
        return descendants(self.pid) if self.pid else []

    def start(self, *, on_fork: Callable[[int], None] = lambda pid: None) -> None:
        self._count_end()
        self._fork = Fork(self.log, self._work, *self._args)
        on_fork(self._fork.pid)

    def stop(self) -> None:
        if self._fork:
            with suppress(ProcessLookupError):
                os.kill(self._fork.pid, signal.SIGTERM)
            self._fork.wait(PARTING)
            self._fork.kill()
            self._count_end()
            self._fork = None

    def tail(self) -> str:
        return last_lines(self.log)

    def _count_end(self) -> None:
        if self._fork and self._fork.exit_code is not None:
            self.ends[self._fork.exit_code] += 1


def relay(name: str, log: Path) -> Forked:
    return Forked(name, log, be, name, "relay")


def worker(name: str, log: Path, *queues: str, kind: str) -> Forked:
    return Forked(name, log, be, name, "rqworker", *queues, f"--worker-class={kind}")


def be(name: str, *words: str) -> None:
    """Be one of the soak's processes."""
    # Already imported by the process that forks.
    from tests.soak import site

    site.piece = f"{name}/{os.getpid()}"
    command(*words)
