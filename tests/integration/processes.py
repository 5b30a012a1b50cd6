"""Relays and workers as processes of their own, on the databases of the test run."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests import world
from tests.forking import Fork, command, preload
from tests.offspring import end_writers
from tests.waiting import PATIENCE, eventually

preload(__name__)

ROOT = Path(__file__).resolve().parents[2]
# Seconds that processes get to end by themselves.
PARTING = 10.0


class Process(Protocol):
    """One management command, running; everything that it says is in `text`."""

    log: Path

    @property
    def pid(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def is_running(self) -> bool: ...
    def says(self, words: str, *, times: int = 1) -> None: ...
    def signal(self, number: signal.Signals) -> None: ...
    def ends(self, *, within: float = PATIENCE) -> int: ...
    def wait(self, seconds: float) -> None: ...
    def stop(self) -> int: ...
    def kill(self) -> None: ...


class Spawned:
    """A process that begins with nothing, as an operator's does."""

    def __init__(self, log: Path, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "django", *words],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the test run, which ends its processes itself.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def says(self, words: str, *, times: int = 1) -> None:
        """Wait until its log has the words."""
        eventually(lambda: self.text.count(words) >= times or not self.is_running)
        assert self.text.count(words) >= times, self.text

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)

    def ends(self, *, within: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        return self._popen.wait(within)

    def stop(self) -> int:
        """End it as an operator would; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.ends()

    def kill(self) -> None:
        """End it as the kernel would, and what it has forked too."""
        self._popen.kill()
        self._popen.wait()
        end_writers(self.log)


class Processes:
    """Starts processes for a test, and ends every one of them after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def run(
        self,
        *words: str,
        lease: float | None = None,
        redis_port: int | None = None,
        trap: Path | None = None,
    ) -> Process:
        """Start a management command in a fork, which is quick; see world.configure()."""
        return self._keep(Fork(self._log(words), be, words, lease, redis_port, trap))

    def spawn(self, *words: str, **environment: str) -> Process:
        """Start a management command from nothing; `environment` adds to the test's own."""
        return self._keep(Spawned(self._log(words), words, environment))

    def relay(
        self, *words: str, lease: float | None = None, redis_port: int | None = None
    ) -> Process:
        """Start a relay that looks often."""
        return self.run(*relay_words(*words), lease=lease, redis_port=redis_port)

    def worker(
        self,
        *queues: str,
        kind: str = "rq.SimpleWorker",
        lease: float | None = None,
        redis_port: int | None = None,
    ) -> Process:
        """Start a worker that stays."""
        return self.run(*worker_words(*queues, kind=kind), lease=lease, redis_port=redis_port)

    def end(self) -> None:
        running = [process for process in self._started if process.is_running]
        for process in running:
            process.signal(signal.SIGTERM)
        for process in running:
            process.wait(PARTING)
        for process in self._started:
            process.kill()
            # Shown by pytest, and only if the test has failed.
            print(f"----- {process.log.name}\n{process.text}")

    def _log(self, words: tuple[str, ...]) -> Path:
        return self._folder / f"{len(self._started)}-{words[0]}.log"

    def _keep(self, process: Process) -> Process:
        self._started.append(process)
        return process


def relay_words(*words: str) -> tuple[str, ...]:
    return ("relay", "--poll-interval=0.2", *words)


def worker_words(*queues: str, kind: str = "rq.SimpleWorker") -> tuple[str, ...]:
    return ("rqworker", *queues, f"--worker-class={kind}")


def be(
    words: tuple[str, ...], lease: float | None, redis_port: int | None, trap: Path | None
) -> None:
    """Be the fork."""
    world.configure(lease=lease, redis_port=redis_port, trap=trap)
    command(*words)
