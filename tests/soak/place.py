"""Where a soak takes place: its folder, and a database of its own on the server that was chosen."""

import fcntl
import os
import random
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from example_project.demo.redis_server import HOST
from tests import databases

# Seconds; short, so that what is lost on the way is found many times in a run.
LEASE = 3.0
# Only these are ever removed, whatever folder is given.
FOLDERS = ("logs", "redis", "switches", "counters")
DATABASE = "soak.sqlite3"
# Stays when a soak ends, however it ends: it tells that one was there.
MARK = "soak.lock"


class Place:
    """One folder for one soak at a time."""

    def __init__(self, folder: Path, *, name: str = "soak", server_url: str = "") -> None:
        # Absolute, because it goes to other processes.
        self.folder = folder.absolute()
        self.logs, self.redis, self.switches, self.counters = (
            self.folder / name for name in FOLDERS
        )
        # As long as this exists, publishers take their time.
        self.hold = self.switches / "hold"
        self.server_url = server_url or os.environ.get("DATABASE_URL") or chosen_url()
        self.is_sqlite = self.server_url.startswith("sqlite")
        self.database = f"eda_django_{name}{databases.RUN and '_' + databases.RUN}"
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "Place":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._refuse_foreign_folder()
        self._lock = (self.folder / MARK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"A soak runs already in {self.folder}. Give this one another --folder.")
        self._clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock:
            self._lock.close()

    def environment(self, *, redis_port: int) -> dict[str, str]:
        """Return what tells the settings, in every process, where everything is."""
        url = f"sqlite:///{self.folder / DATABASE}"
        if not self.is_sqlite:
            url = f"{self.server_url.rpartition('/')[0]}/{self.database}"
        return {
            "DJANGO_SETTINGS_MODULE": "tests.soak.settings",
            "SOAK_DATABASE_URL": url,
            "SOAK_SERVER_URL": "" if self.is_sqlite else self.server_url,
            "SOAK_REDIS_PORT": str(redis_port),
        }

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def make_database(self) -> None:
        """Make it, empty; on SQLite a file does it."""
        if not self.is_sqlite:
            databases.drop(self.database, using="server")
            databases.create(self.database, using="server")

    def drop_database(self) -> None:
        if not self.is_sqlite:
            databases.drop(self.database, using="server")

    def _refuse_foreign_folder(self) -> None:
        # Make takes SOAK from the environment, where somebody else may have set it.
        if (self.folder / MARK).is_file():
            return
        if not all((path / MARK).is_file() for path in self.folder.iterdir()):
            sys.exit(
                f"The folder {self.folder} is not empty, and no soak has been in it. A soak "
                f"removes what an earlier one has left, and that might be yours. Give it a "
                f"--folder that is new, empty or an earlier soak's."
            )

    def _clear(self) -> None:
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        for path in self.folder.glob(f"{DATABASE}*"):
            path.unlink()


def steady_port() -> int:
    """Return a free port that no client is given as its own while the server is down."""
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    while True:
        port = random.randrange(1_025, max(int(lowest), 2_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def chosen_url() -> str:
    """Return the address of the server that EDA_TEST_DATABASE names."""
    chosen = databases.vendor()
    if chosen == "sqlite":
        return "sqlite://"
    variable, default = databases.URLS[chosen]
    return os.environ.get(variable, default)
