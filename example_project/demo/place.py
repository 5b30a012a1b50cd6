"""The demo's folder: its database, logs, mail and switches, new at every start."""

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO

from .errors import DemoError
from .switches import VARIABLE

# Only these are ever removed, and only where a demo has been before.
FOLDERS = ("logs", "mail", "redis", "switches")
FILES = (
    "address",
    "address.new",
    "gateway_is_back",
    *(f"shop.sqlite3{ending}" for ending in ("", "-journal", "-relay.lock", "-shm", "-wal")),
)
# Where a demo goes that is told nothing else, and so do the settings.
OWN = Path(__file__).resolve().parents[2] / ".demo"
# Always empty, and stays when the demo ends, however it ends: it tells that a demo was there.
LOCK = "lock"


class Place:
    """One folder for one demo at a time."""

    def __init__(self, folder: Path) -> None:
        # Absolute, because it goes to other processes.
        self.folder = folder.absolute()
        self.logs, self.redis, self.switches = (
            self.folder / name for name in ("logs", "redis", "switches")
        )
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "Place":
        self._lock = self._open_lock()
        try:
            # The system lets go of it when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DemoError(
                f"A demo runs already in {self.folder}. Stop that one first, or give this one "
                "a folder of its own: make demo FOLDER=.demo/second (without make: "
                "--folder=.demo/second)."
            ) from error
        self._clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (self.folder / "address").unlink(missing_ok=True)
        if self._lock:
            self._lock.close()

    def environment(self) -> dict[str, str]:
        """Return what tells the settings, and every piece, where everything is."""
        return {
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            # A visitor who comes with yesterday's address is to see the shop's own page.
            "DEBUG": os.environ.get("DEBUG") or "0",
            "DEMO_DIR": str(self.folder),
            VARIABLE: str(self.switches),
        }

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def announce(self, address: str) -> None:
        """Write down where the shop is, once it answers and its console has said so."""
        unseen = self.folder / "address.new"
        unseen.write_text(address)
        # At once, for whoever waits for it.
        unseen.replace(self.folder / "address")

    def _open_lock(self) -> IO[bytes]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign_folder()
            return (self.folder / LOCK).open("wb")
        except OSError as error:
            raise DemoError(
                f"The folder {self.folder} can't be used: {error.strerror}. Name one that there "
                "is or that can be made: make demo FOLDER=.demo (without make: --folder=.demo)."
            ) from error

    def _refuse_foreign_folder(self) -> None:
        # Make takes FOLDER from the environment, where somebody else may have set it. In its own
        # folder manage.py alone may have been.
        if self.folder == OWN or _is_of_a_demo(self.folder):
            return
        if all(map(_is_of_a_demo, self.folder.iterdir())):
            return
        raise DemoError(
            f"The folder {self.folder} is not empty, and no demo has been in it. A demo removes "
            "what an earlier one has left, and that might be yours. Move it away, or name a folder "
            "that is new, empty or an earlier demo's: make demo FOLDER=.demo/second (without make: "
            "--folder=.demo/second)."
        )

    def _clear(self) -> None:
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in FILES:
            (self.folder / name).unlink(missing_ok=True)


def _is_of_a_demo(folder: Path) -> bool:
    mark = folder / LOCK
    return mark.is_file() and mark.stat().st_size == 0
