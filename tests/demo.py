"""The demo as a process, for the tests that watch one from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import databases
from tests.waiting import PATIENCE, eventually

# What the suite sets for its own processes, and a demo must not see.
PRIVATE = ("DJANGO_SETTINGS_MODULE", "REDIS_URL", "DATABASE_URL", "DEMO_CONTROL_DIR")
# What the customers buy of whom a test tells; there are fewer than 99 of it.
SKU = "teapot-everyday"


class DemoProcess:
    """`python -m example_project.demo` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, **urls: str) -> None:
        self.folder = folder
        # Beside the folder: a demo takes none in which there is something that no demo has made.
        self.output = folder.parent / "output.txt"
        env = {name: value for name, value in os.environ.items() if name not in PRIVATE}
        env |= {name.upper(): url for name, url in urls.items() if url}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "example_project.demo", f"--folder={folder}", *arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def address(self) -> str:
        """Return the shop's address once it answers."""
        path = self.folder / "address"
        eventually(lambda: path.exists() or self.process.poll() is not None, "the shop's address")
        assert path.exists(), self.text
        return path.read_text()

    def pieces(self) -> dict[int, str]:
        """Return the processes that this demo has started, by pid, and what each runs."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                command = self._command(entry)
                if command:
                    found[int(entry.name)] = command
        return found

    def pid_of(self, words: str) -> int | None:
        return next((pid for pid, command in self.pieces().items() if words in command), None)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def _command(self, entry: Path) -> str:
        """Return the command line of a process that belongs to this demo, else nothing."""
        try:
            # By its environment; Redis has overwritten that, but works in the demo's folder.
            mark = f"DEMO_DIR={self.folder}\0".encode()
            is_ours = mark in (entry / "environ").read_bytes()
            if is_ours or self.folder in (entry / "cwd").readlink().parents:
                return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            pass
        return ""


@contextmanager
def running_demo(folder: Path, *arguments: str, **urls: str) -> Iterator[DemoProcess]:
    """Run a demo for as long as the block lasts; none of its pieces outlives that.

    `urls` are database_url and redis_url.
    """
    demo = DemoProcess(folder, *arguments, **urls)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end()
        eventually(lambda: not demo.pieces(), "the end of every piece")


@contextmanager
def database_for_a_demo() -> Iterator[str]:
    """Make an empty database where this run's are, and return its URL; none for SQLite."""
    chosen = databases.vendor()
    if chosen == "sqlite":
        yield ""
        return
    variable, default = databases.URLS[chosen]
    base = os.environ.get(variable, default).rpartition("/")[0]
    with databases.empty_database("demo") as name:
        yield f"{base}/{name}"
