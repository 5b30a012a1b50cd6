"""Ends what the demo started, should the demo be killed before it can do so itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE = 15.0


class Guardian:
    """A process that outlives the demo by as long as it takes to end the process groups told to it.

    It notices by the end of its standard input, which the system closes however the demo ends.
    """

    def __init__(self) -> None:
        read, write = os.pipe()
        self._pipe = os.fdopen(write, "w")
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=read, start_new_session=True
        )
        os.close(read)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, pid: int) -> None:
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        self._tell(f"-{pid}")

    def close(self) -> None:
        """Let it end those it still watches, and go."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        # If it was killed, the demo still ends its pieces itself.
        with suppress(BrokenPipeError):
            print(line, file=self._pipe, flush=True)


def guard(lines: Iterable[str]) -> None:
    """Read what to watch until there is no more to read, then end it."""
    watched: set[int] = set()
    for line in lines:
        sign, pid = line[0], int(line[1:])
        watched.add(pid) if sign == "+" else watched.discard(pid)
    end(watched)


def end(groups: set[int]) -> None:
    """Ask process groups to end, wait for them, and end by force what is left of them."""
    left = {group for group in groups if _signal(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = {group for group in left if _signal(group, 0)}
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    guard(sys.stdin)
