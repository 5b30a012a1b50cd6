"""Relays, workers and publishers as processes of their own, and where each of them is to die.

They are forked from one process that has loaded Django and touched neither database nor Redis:
starting each from nothing would take most of the time that these tests may take.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.planting import Plan
from tests.integration.processes import descendants, end
from tests.waiting import PATIENCE, eventually

SIMPLE, FORK = "rq.SimpleWorker", "rq.Worker"

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.preload"])


class Child:
    """One process. `plan` says where it dies, if it is to die."""

    def __init__(
        self, log: Path, plan: Plan | None, lease: float, work: Callable[..., Any], *args: Any
    ) -> None:
        self.log, self.plan = log, plan
        log.touch()
        self._process = _forks.Process(target=run, args=(log, plan, lease, work, args))
        self._process.start()

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def ends(self) -> int:
        """Wait for the end; return the exit code."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, self.log.read_text()
        return self._process.exitcode

    def dies(self) -> None:
        """Wait until it has died where it was to die: a worker that forks, by its work horse."""
        plan = self.plan
        assert plan
        eventually(lambda: plan.mark.exists() or not self.is_running)
        assert plan.mark.exists(), f"it ended before {plan.words!r}\n{self.log.read_text()}"
        if int(eventually(plan.mark.read_text)) == self._process.pid:
            assert self.ends() == -signal.SIGKILL

    def kill(self) -> None:
        pid = self._process.pid
        assert pid
        children = descendants(pid)
        self._process.kill()
        self._process.join()
        for child in children:
            end(child)


class Children:
    """Starts processes for a test, and ends every one of them after it.

    Their leases end when the test ends them, so that a busy machine makes no difference.
    """

    lease = 600.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._started: list[Child] = []

    def start(self, dies: str, work: Callable[..., Any], *args: Any) -> Child:
        """Start a process; `dies` says where, "" for nowhere."""
        path = self._folder / f"{next(self._numbers)}"
        plan = Plan(words=dies, mark=path.with_suffix(".died")) if dies else None
        child = Child(path.with_suffix(".log"), plan, self.lease, work, *args)
        self._started.append(child)
        return child

    def publish(self, kind: str, *behaviours: str, dies: str = "") -> Child:
        return self.start(dies, publish, kind, list(behaviours))

    def relay(self, *words: str, dies: str = "") -> Child:
        return self.start(dies, command, "relay", "--poll-interval=0.1", *words)

    def worker(self, *queues: str, kind: str = SIMPLE, dies: str = "") -> Child:
        return self.start(dies, command, "rqworker", *queues, f"--worker-class={kind}")

    def logs(self) -> list[str]:
        """Return what each of them has said."""
        return [child.log.read_text(errors="replace") for child in self._started]

    def end(self) -> None:
        for child in self._started:
            child.kill()
            # Shown by pytest, and only if the test has failed.
            print(f"----- {child.log.name}\n{child.log.read_text(errors='replace')}")


def run(
    log: Path, plan: Plan | None, lease: float, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Be the child."""
    output = os.open(log, os.O_CREAT | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Already done, and done once, by the process that forks.
    from tests.faults.preload import site

    site.configure(lease=lease)
    if plan:
        plan.plant()
    work(*args)


def publish(kind: str, behaviours: list[str]) -> None:
    from tests.faults.site import publish_events

    publish_events(kind, behaviours)


def command(*words: str) -> None:
    # Late, as Django is set up in the children only. Its system checks would take longer than all
    # else.
    from django.core.management import call_command

    call_command(*words)
