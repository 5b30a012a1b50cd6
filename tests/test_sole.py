"""SQLite has one writer, so one relay (G12)."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from eda_django.sole import SoleRelay


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


@pytest.mark.django_db
def test_database_in_memory_has_no_other_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", ":memory:")
    with SoleRelay("default"), SoleRelay("default"):
        assert not Path(":memory:-relay.lock").exists()


@pytest.mark.django_db
def test_lock_file_stands_beside_the_database(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", tmp_path / "site.sqlite3")
    with SoleRelay("default"):
        is_there = (tmp_path / "site.sqlite3-relay.lock").exists()
    assert is_there == (connection.vendor == "sqlite")
