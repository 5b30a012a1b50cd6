"""A database server of one's own, to be killed and started again."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol

from example_project.demo.redis_server import HOST, free_port

# Seconds in which a server must be ready.
PATIENCE = 60.0


class Server(Protocol):
    """What is needed of one."""

    port: int

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def restart(self) -> None: ...

    def stop(self) -> None: ...


class _Server:
    """A server process in a folder of its own."""

    needed: tuple[str, ...] = ()
    # Neither server wants to be run by root.
    user = ""
    # Ends it without a checkpoint, and all that it has forked.
    crash = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_installed(cls) -> bool:
        return all(shutil.which(name) for name in cls.needed)

    @property
    def command(self) -> list[str]:
        raise NotImplementedError

    def make(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            if self._owner:
                shutil.chown(self.folder, self._owner)
                # It must be able to come to its folder.
                for parent in self.folder.parents[:2]:
                    parent.chmod(parent.stat().st_mode | 0o011)
            self.make()
        with Path(f"{self.folder}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._owner,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} did not start, see {self.folder}.log")
            time.sleep(0.05)

    def restart(self, down: float) -> None:
        """End it as a crash would, and start it again after so many seconds."""
        assert self._process
        self._process.send_signal(self.crash)
        self._process.wait()
        time.sleep(down)
        self.start()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def is_ready(self) -> bool:
        raise NotImplementedError

    @property
    def _owner(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    def _do(self, *words: str) -> None:
        subprocess.run(
            words, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, user=self._owner
        )


class Postgres(_Server):
    """PostgreSQL with its defaults."""

    needed = ("initdb", "postgres", "pg_isready")
    user = "postgres"
    # "Immediate shutdown": SIGKILL would leave the backends.
    crash = signal.SIGQUIT

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    @property
    def command(self) -> list[str]:
        return ["postgres", "-D", str(self.folder), "-p", str(self.port), "-h", HOST, "-k", ""]

    def make(self) -> None:
        self._do("initdb", "-D", str(self.folder), "-U", "postgres", "--auth=trust", "--no-sync")

    def is_ready(self) -> bool:
        words = ["pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(words, check=False).returncode == 0


class MariaDB(_Server):
    """MariaDB with its defaults."""

    needed = ("mariadb-install-db", "mariadbd", "mariadb-admin")
    user = "mysql"

    @property
    def url(self) -> str:
        return f"mysql://root@{HOST}:{self.port}/mysql"

    @property
    def command(self) -> list[str]:
        where = [f"--datadir={self.folder}", f"--socket={self.folder}/socket"]
        return [
            "mariadbd",
            "--no-defaults",
            *where,
            f"--port={self.port}",
            f"--bind-address={HOST}",
        ]

    def make(self) -> None:
        self._do(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self.folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )

    def is_ready(self) -> bool:
        words = ["mariadb-admin", f"--host={HOST}", f"--port={self.port}", "--user=root", "ping"]
        answer = subprocess.run(words, check=False, capture_output=True)
        return answer.returncode == 0


OWN: dict[str, type[Postgres] | type[MariaDB]] = {"postgresql": Postgres, "mariadb": MariaDB}
