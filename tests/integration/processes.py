"""Relays and workers as processes of their own, on the databases of the test run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.offspring import end_writers
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
# Seconds that processes get to end by themselves.
PARTING = 10.0


class Process:
    """One management command, running; everything that it says is in `log`."""

    def __init__(self, log: Path, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self._log = log
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
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until the log has the text."""
        eventually(lambda: self.log.count(text) >= times or not self.is_running)
        assert self.log.count(text) >= times, self.log

    def ends(self, *, within: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        return self._popen.wait(within)

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self) -> int:
        """End it as an operator would; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.ends(within=PARTING)

    def kill(self) -> None:
        """End it as the kernel would, and what it has forked too."""
        self._popen.kill()
        self._popen.wait()
        end_writers(self._log)


class Processes:
    """Starts processes for a test, and ends every one of them after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def run(self, *words: str, **environment: str) -> Process:
        """Start a management command; `environment` adds variables to the test's own."""
        log = self._folder / f"{len(self._started)}-{words[0]}.log"
        process = Process(log, words, environment)
        self._started.append(process)
        return process

    def relay(self, *words: str, **environment: str) -> Process:
        """Start a relay that looks often."""
        return self.run("relay", "--poll-interval=0.2", *words, **environment)

    def worker(self, *queues: str, kind: str = "rq.SimpleWorker", **environment: str) -> Process:
        """Start a worker that stays."""
        words = ("rqworker", *queues, f"--worker-class={kind}")
        return self.run(*words, **environment)

    def end(self) -> None:
        running = [process for process in self._started if process.is_running]
        for process in running:
            process.signal(signal.SIGTERM)
        for process in running:
            try:
                process.ends(within=PARTING)
            except subprocess.TimeoutExpired:
                continue
        for process in self._started:
            process.kill()
            # Shown by pytest, and only if the test has failed.
            print(f"----- {process._log.name}\n{process.log}")
