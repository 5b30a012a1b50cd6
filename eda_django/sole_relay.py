"""SQLite has one writer, so one relay: a second one says so and stops."""

from pathlib import Path
from types import TracebackType
from typing import IO, Any

from django.core.files import locks
from django.core.management.base import CommandError
from django.db import connections


class SoleRelay:
    """Holds a lock beside the database file while a relay runs; on other databases, nothing.

    The lock is the system's, so it goes with the process, however that ends.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self._file: IO[Any] | None = None

    def __enter__(self) -> None:
        path = _lock_path(self.using)
        if path is None:
            return
        try:
            self._file = path.open("a")
        except OSError as error:
            raise CommandError(
                f"The relay for database {self.using!r} can't open its lock {str(path)!r}: "
                f"{error.strerror}. Have it belong to the user that runs the relay, or remove it "
                f"while no relay runs."
            ) from error
        if not locks.lock(self._file, locks.LOCK_EX | locks.LOCK_NB):
            self._file.close()
            raise CommandError(
                f"A relay for database {self.using!r} runs already. SQLite has one writer at a "
                f"time, so one relay is as fast as two; use PostgreSQL or MariaDB for more."
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            locks.unlock(self._file)
            self._file.close()


def _lock_path(using: str) -> Path | None:
    connection = connections[using]
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        # Not by NAME: that may be a URI, a relative path or a link, and two ways to one file must
        # lead to one lock.
        cursor.execute("PRAGMA database_list")
        files = {name: file for _, name, file in cursor.fetchall()}
    # A database in memory has no file, and no other process. SQLite writes its journal beside the
    # file, so the folder is writable.
    return Path(f"{files['main']}-relay.lock") if files["main"] else None
