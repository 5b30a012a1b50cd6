"""SQLite has one writer, so one relay (G12)."""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from eda_django.sole_relay import SoleRelay

SQLITE = "django.db.backends.sqlite3"


@pytest.mark.django_db
def test_second_relay_on_sqlite_alone_says_so_and_stops() -> None:
    refused = pytest.raises(
        CommandError, match=r"^A relay for database 'default' runs already\. SQLite has one"
    )
    expected = refused if connection.vendor == "sqlite" else nullcontext()
    with SoleRelay("default"), expected, SoleRelay("default"):
        pass


@pytest.mark.django_db
def test_relay_may_run_once_the_first_has_ended() -> None:
    for _ in range(2):
        with SoleRelay("default"):
            pass


@pytest.mark.django_db
def test_lock_ends_with_an_error_too() -> None:
    with pytest.raises(LookupError), SoleRelay("default"):
        raise LookupError
    with SoleRelay("default"):
        pass


@pytest.mark.once
def test_a_lock_that_is_anothers_is_named(
    other_sqlite: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays where a relay has run as another user."""

    def refuse(*args: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    alias = other_sqlite(tmp_path / "site.sqlite3")
    problem = (
        f"The relay for database '{alias}' can't open its lock "
        f"'{tmp_path / 'site.sqlite3'}-relay.lock': Permission denied. Have it belong to the user "
        f"that runs the relay, or remove it while no relay runs."
    )
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(CommandError, match=f"^{re.escape(problem)}$"), SoleRelay(alias):
            pass


@pytest.fixture
def other_sqlite(django_db_blocker: Any) -> Iterator[Callable[..., str]]:
    """Return a function that adds a SQLite database of this name, and returns its alias."""
    added: list[str] = []

    def add(name: object) -> str:
        alias = f"sole{len(added)}"
        given = {alias: {"ENGINE": SQLITE, "NAME": name}, "default": {}}
        connections.settings[alias] = connections.configure_settings(given)[alias]
        added.append(alias)
        return alias

    with django_db_blocker.unblock():
        yield add
        for alias in added:
            connections[alias].close()
            # In memory, Django keeps it open.
            BaseDatabaseWrapper.close(connections[alias])
            del connections[alias]
            del connections.settings[alias]


@pytest.mark.once
@pytest.mark.parametrize(
    "name", [":memory:", "file::memory:", "file:sole?mode=memory&cache=shared"]
)
def test_database_in_memory_has_no_other_relay(
    name: str, other_sqlite: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alias = other_sqlite(name)
    with SoleRelay(alias), SoleRelay(alias):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.once
@pytest.mark.parametrize(
    "name",
    [
        "{folder}/site.sqlite3",
        "file:{folder}/site.sqlite3",
        "file:{folder}/site.sqlite3?mode=rwc&cache=private",
        "file://{folder}/site%2Esqlite3",
        "site.sqlite3",
        "file:site.sqlite3?cache=shared",
        "link.sqlite3",
    ],
)
def test_one_file_has_one_lock_whatever_it_is_called(
    name: str, other_sqlite: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "site.sqlite3"
    path.touch()
    (tmp_path / "link.sqlite3").symlink_to(path)
    first, second = other_sqlite(path), other_sqlite(name.format(folder=tmp_path))
    with SoleRelay(first):
        assert (tmp_path / "site.sqlite3-relay.lock").exists()
        with pytest.raises(CommandError, match="runs already"), SoleRelay(second):
            pass
