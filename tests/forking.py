"""Processes forked from one that has loaded Django and touched neither database nor Redis.

Starting each from nothing would take most of the time of whatever starts many.
"""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.offspring import end_writers
from tests.waiting import PATIENCE, eventually

_forks = multiprocessing.get_context("forkserver")


_modules = ["tests.preload"]


def preload(*modules: str) -> None:
    """Have these imported by the process that forks, so that no fork has to; before the first."""
    _modules.extend(modules)
    _forks.set_forkserver_preload(_modules)


# Each fork imports the module whose function it is to run.
preload(__name__)


class Fork:
    """One process. What it says is added to `log`."""

    def __init__(self, log: Path, work: Callable[..., Any], *args: Any) -> None:
        self.log = log
        log.touch()
        self._process = _forks.Process(target=_run, args=(log, work, args))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, words: str, *, times: int = 1) -> None:
        """Wait until its log has the words."""
        eventually(lambda: self.text.count(words) >= times or not self.is_running)
        assert self.text.count(words) >= times, self.text

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> None:
        self._process.join(seconds)

    def ends(self, *, within: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        self.wait(within)
        assert self.exit_code is not None, self.text
        return self.exit_code

    def stop(self) -> int:
        """End it as an operator would; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.ends()

    def kill(self) -> None:
        """End it as the kernel would, and what it has forked too."""
        self._process.kill()
        self._process.join()
        end_writers(self.log)


def _run(log: Path, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    # Of its own, so that Ctrl-C reaches only who started it.
    os.setsid()
    # What was there before the fork stays shared: a collection would write into all of its pages.
    gc.freeze()
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    work(*args)


def command(*words: str) -> None:
    """Run a management command as manage.py does, but for its system checks, in a fork."""
    # Late, as Django is set up in the process that forks only.
    from django.core.management import get_commands, load_command_class

    made = load_command_class(get_commands()[words[0]], words[0])
    # They would take longer than all else.
    made.requires_system_checks = []
    made.run_from_argv(["manage.py", *words])
