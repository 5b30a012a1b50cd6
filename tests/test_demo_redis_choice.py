"""Which Redis a demo takes: the one that is given, or else one of its own."""

import os
from pathlib import Path
from typing import Any

import pytest

from example_project.demo.place import Place
from example_project.demo.redis_server import RedisServer
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
