"""Relays and workers as processes of their own."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

# Seconds that a process gets to begin, or to end by itself.
PATIENCE = 120.0
_numbers = itertools.count()


def end_when_told() -> None:
    """Have SIGTERM end this process as an exception would, with all that it has started.

    A second one, such as a group's that both get from outside and from each other, would stop it
    from ending the others.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(1)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def running(*words: str, module: str = "django") -> Iterator["subprocess.Popen[bytes]"]:
    """Run a management command, or a module with these words, for as long as the block lasts."""
    name = words[0] if module == "django" else module
    log = Path(os.environ["BENCH_FOLDER"]) / f"{next(_numbers)}-{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    except TimeoutError as error:
        tail = log.read_text(errors="replace")[-2_000:]
        raise TimeoutError(f"{error}; {name} says:\n{tail}") from None
    finally:
        _end(process)


def worker(kind: str) -> "AbstractContextManager[subprocess.Popen[bytes]]":
    """Run a worker of this class, such as rq.SimpleWorker."""
    return running("rqworker", "default", f"--worker-class={kind}")


def wait_for(condition: Callable[[], bool], what: str, *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within:g} s in vain for {what}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
