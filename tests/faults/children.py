"""Relays, workers and publishers as processes of their own, and where each of them is to die."""

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.planting import Plan
from tests.forking import Fork, command, preload
from tests.waiting import PATIENCE, eventually

SIMPLE, FORK = "rq.SimpleWorker", "rq.Worker"

preload("tests.faults.site")


class Child(Fork):
    """One process. `plan` says where it dies, if it is to die."""

    def __init__(
        self, log: Path, plan: Plan | None, lease: float, work: Callable[..., Any], *args: Any
    ) -> None:
        self.plan = plan
        super().__init__(log, run, plan, lease, work, args)

    def ends(self) -> int:
        """Wait for the end; return the exit code."""
        self.wait(PATIENCE)
        assert self.exit_code is not None, self.log.read_text()
        return self.exit_code

    def dies(self) -> None:
        """Wait until it has died where it was to die: a worker that forks, by its work horse."""
        plan = self.plan
        assert plan
        eventually(lambda: plan.mark.exists() or not self.is_running)
        assert plan.mark.exists(), f"it ended before {plan.words!r}\n{self.log.read_text()}"
        if int(eventually(plan.mark.read_text)) == self.pid:
            assert self.ends() == -signal.SIGKILL


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


def run(plan: Plan | None, lease: float, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Be the child."""
    # Already imported by the process that forks.
    from tests.faults import site

    site.configure(lease=lease)
    if plan:
        plan.plant()
    work(*args)


def publish(kind: str, behaviours: list[str]) -> None:
    from tests.faults.site import publish_events

    publish_events(kind, behaviours)
