"""Processes forked from one that has loaded Django and touched neither database nor Redis.

Starting each from nothing would take most of the time of whatever starts many.
"""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.offspring import end_writers

_forks = multiprocessing.get_context("forkserver")


def preload(*modules: str) -> None:
    """Have these imported, in this order, by the process that forks; before the first fork."""
    _forks.set_forkserver_preload(["tests.preload", *modules])


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

    def wait(self, seconds: float) -> None:
        self._process.join(seconds)

    def kill(self) -> None:
        """End it as the kernel would, and what it has forked too."""
        self._process.kill()
        self._process.join()
        end_writers(self.log)


def _run(log: Path, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    # Of its own, so that Ctrl-C reaches only who started it.
    os.setsid()
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    work(*args)


def command(*words: str) -> None:
    """Run a management command, in a fork."""
    # Late, as Django is set up in the forks only. Its system checks would take longer than all
    # else.
    from django.core.management import call_command

    call_command(*words)
