"""Relays, workers and publishers as processes of their own, and where each is to break."""

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.planting import Fate, Plan
from tests.faults.publishing import publish
from tests.forking import Fork, command, preload
from tests.waiting import eventually

SIMPLE, FORK = "rq.SimpleWorker", "rq.Worker"

preload(__name__, "tests.faults.site", "tests.faults.meeting")


class Child(Fork):
    """One process. `plan` says where it breaks, if it is to break."""

    def __init__(
        self,
        log: Path,
        plan: Plan | None,
        world: dict[str, Any],
        work: Callable[..., Any],
        *args: Any,
    ) -> None:
        self.plan = plan
        super().__init__(log, run, plan, world, work, args)

    def dies(self) -> None:
        """Wait until it has died where it was to die: a worker that forks, by its work horse."""
        plan = self.plan
        assert plan
        eventually(lambda: plan.mark.exists() or not self.is_running)
        assert plan.mark.exists(), f"it ended before {plan.words!r}\n{self.text}"
        if int(eventually(plan.mark.read_text)) == self.pid:
            assert self.ends() == -signal.SIGKILL

    def breaks(self) -> None:
        """Wait until it is frozen, or its connection is cut."""
        plan = self.plan
        assert plan
        eventually(lambda: plan.mark.exists() or not self.is_running)
        assert plan.mark.exists(), f"it ended before {plan.words!r}\n{self.text}"
        if plan.fate is Fate.FROST:
            frozen = int(eventually(plan.mark.read_text))
            eventually(lambda: is_stopped(frozen))

    def thaw(self) -> None:
        """Let what was frozen go on."""
        assert self.plan
        os.kill(int(self.plan.mark.read_text()), signal.SIGCONT)


class Children:
    """Starts processes for a test, and ends every one of them after it.

    Their leases end when the test ends them, so that a busy machine makes no difference.
    """

    lease = 600.0

    def __init__(self, folder: Path) -> None:
        # What else is different for those that are started from now on; see site.configure().
        self.world: dict[str, Any] = {}
        self._folder = folder
        self._numbers = count()
        self._started: list[Child] = []

    def start(self, plan: str, work: Callable[..., Any], *args: Any, fate: Fate) -> Child:
        """Start a process; `plan` says where it meets its fate, "" for nowhere."""
        path = self._folder / f"{next(self._numbers)}"
        made = Plan(words=plan, mark=path.with_suffix(".struck"), fate=fate) if plan else None
        world = {"lease": self.lease, **self.world}
        child = Child(path.with_suffix(".log"), made, world, work, *args)
        self._started.append(child)
        return child

    def publish(self, kind: str, *behaviours: str, at: str = "", fate: Fate = Fate.DEATH) -> Child:
        return self.start(at, publish, kind, *behaviours, fate=fate)

    def relay(self, *words: str, at: str = "", fate: Fate = Fate.DEATH) -> Child:
        often = () if "--once" in words else ("--poll-interval=0.1",)
        return self.start(at, command, "relay", *often, *words, fate=fate)

    def worker(
        self, *queues: str, kind: str = SIMPLE, at: str = "", fate: Fate = Fate.DEATH
    ) -> Child:
        words = ("rqworker", *queues, f"--worker-class={kind}")
        return self.start(at, command, *words, fate=fate)

    def run(self, *words: str) -> Child:
        """Start any other management command."""
        return self.start("", command, *words, fate=Fate.DEATH)

    def logs(self) -> list[str]:
        """Return what each of them has said."""
        return [child.text for child in self._started]

    def end(self) -> None:
        for child in self._started:
            child.kill()
            # Shown by pytest, and only if the test has failed.
            print(f"----- {child.log.name}\n{child.text}")
        self._started.clear()


def is_stopped(pid: int) -> bool:
    """Return whether SIGSTOP has taken effect."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def run(
    plan: Plan | None, world: dict[str, Any], work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Be the child."""
    # Already imported by the process that forks.
    from tests.faults import site

    site.configure(**world)
    if plan:
        plan.plant()
    work(*args)
