"""A Django project of its own in an empty folder, as a user would have it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.processes import PARTING

# The test's own settings and databases are nothing to a user's project.
OURS = ("DJANGO_SETTINGS_MODULE", "EDA_TEST_CHILD", "PYTHONPATH")


class FreshProject:
    """Runs shell commands in a folder, where `python` is the one that runs the tests."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", **environment}
        self._left: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def write(self, name: str, text: str, *, append: bool = False) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if append else ""
        path.write_text(before + text)

    def run(self, command: str) -> str:
        """Run to the end, which must be a success; return the output."""
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, command: str) -> None:
        """Start, and leave running."""
        log = self.folder / f"{len(self._left)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                # exec, so that a signal reaches the command and not the shell.
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._left.append((command, process, log))

    def interrupt(self) -> list[int]:
        """End what was started, as Ctrl-C does; return the exit codes."""
        for _, process, _ in self._left:
            process.send_signal(signal.SIGINT)
        try:
            return [process.wait(PARTING) for _, process, _ in self._left]
        finally:
            self.end()

    def end(self) -> None:
        """Kill what still runs, and show what it said."""
        for command, process, log in self._left:
            process.kill()
            process.wait()
            print(f"----- {command}\n{log.read_text()}")
        self._left.clear()
