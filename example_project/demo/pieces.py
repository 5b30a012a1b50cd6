"""The demo's processes: each one program, in a process group of its own, with its own log."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .interrupts import interrupts

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
LINES = 15


class Piece(Protocol):
    """What the supervisor needs of whatever it keeps running."""

    name: str

    @property
    def pid(self) -> int | None: ...

    @property
    def is_running(self) -> bool: ...

    def start(self, *, on_fork: Callable[[int], None]) -> None:
        """Start it; `on_fork` is told each pid at once, before the piece is ready."""

    def stop(self) -> None: ...

    def tail(self) -> str: ...


class Command:
    """`manage.py` with some arguments."""

    def __init__(self, name: str, *arguments: str, log: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.log = log
        self.was_asked = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, on_fork: Callable[[int], None] = lambda pid: None) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.was_asked = False
        with self.log.open("ab") as log, interrupts.held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-u", str(MANAGE), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the demo alone, which then ends its pieces in good order.
                start_new_session=True,
            )
            on_fork(self._process.pid)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once: a worker finishes its job, which a second one would cut short."""
        if self._process and self.is_running and not self.was_asked:
            self.was_asked = True
            self._process.terminate()

    def stop(self, seconds: float = 10.0) -> None:
        """End the process, by force if it takes too long."""
        self.ask_to_stop()
        if not self._process:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def tail(self) -> str:
        """Return the last lines of the log."""
        return last_lines(self.log)


def last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-LINES:])
