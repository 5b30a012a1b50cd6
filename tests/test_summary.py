"""`make test` says at its end what it ran on, and what it left out."""

from pathlib import Path

import pytest

from tests.__main__ import SLOW, Part, parts_of, say_where

BROWSER = "  browser     SKIPPED   There is no Chromium on PATH (Debian: apt install chromium).\n"


@pytest.fixture
def without_chromium(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.usefixtures("without_chromium")
def test_the_databases_are_told_apart_and_so_is_a_missing_browser(
    capsys: pytest.CaptureFixture[str],
) -> None:
    versions = {"sqlite": "3.45.1", "postgresql": "PostgreSQL 16"}
    say_where({"sqlite": 0, "postgresql": 1}, versions, {"mariadb": "Traceback\nrefused"})
    assert capsys.readouterr().out == (
        "\nThe suite ran on:\n"
        "  sqlite      passed   3.45.1\n"
        "  postgresql  FAILED   PostgreSQL 16\n"
        "  mariadb     NOT REACHED   set TEST_MARIADB_URL, by default "
        "mysql://root@127.0.0.1:3306/mysql\n"
        "              refused\n" + BROWSER
    )


@pytest.mark.usefixtures("without_chromium")
def test_where_nothing_may_be_left_out_the_tests_have_failed_instead(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    say_where({"sqlite": 0}, {"sqlite": "3"}, {})
    assert "browser" not in capsys.readouterr().out


def test_a_browser_that_is_there_is_not_called_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chromium = tmp_path / "chromium"
    chromium.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    say_where({"sqlite": 0}, {"sqlite": "3"}, {})
    assert "browser" not in capsys.readouterr().out


def test_the_parts_of_a_database_leave_no_test_out() -> None:
    """Coverage would hide it: what starts processes is not in it."""
    quick, slow = parts_of("sqlite", [])
    assert (quick.arguments, slow.arguments) == (("-m", f"not ({SLOW})"), ("-m", SLOW))
    assert (quick.is_covered, slow.is_covered) == (True, False)
    assert quick.suffix != slow.suffix
    assert parts_of("mariadb", []) == [Part("mariadb", ("-m", "not once"))]


def test_given_arguments_are_those_of_every_run() -> None:
    for database in ("sqlite", "postgresql"):
        assert parts_of(database, ["-k", "x"]) == [Part(database, ("-k", "x"))]
