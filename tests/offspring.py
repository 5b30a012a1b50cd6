"""What a process has forked: found by its parent, and ended by what it writes to."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the processes that this one has started, and those that they have.

    One that ends meanwhile may hide its siblings (proc(5)); a dead process has none.
    """
    found: list[int] = []
    tasks = Path(f"/proc/{pid}/task")
    # Whatever is read may have ended since it was named.
    with suppress(OSError):
        for task in os.listdir(tasks):
            with suppress(OSError):
                for child in map(int, (tasks / task / "children").read_text().split()):
                    found += [child, *descendants(child)]
    return found


def end_writers(log: Path) -> None:
    """Kill every process whose standard output is this file, until there is none.

    It is inherited: neither a death in between nor a pool that replaces its workers hides one.
    """
    while writers := _writers(log):
        for pid in writers:
            end(pid)


def end(pid: int) -> None:
    """Kill one process, if it still exists."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _writers(log: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if os.readlink(path) == str(log.resolve()):
                found.append(int(path.parts[2]))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]
