"""The demo is interrupted, at any moment, and nothing of it stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.demo.interrupts import interrupts
from example_project.demo.pieces import Command, Piece
from example_project.demo.redis_server import RedisServer, RedisServerError
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests.demo import DemoProcess, running_demo
from tests.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]

# Is asked whether it is ready, and says nothing; ends when it is told to, and may. Its folder has
# a file for each of that.
SLOW_REDIS = f"""#!{sys.executable}
import pathlib, signal, socket, sys, time
folder = pathlib.Path(__file__).parent
def end(number, frame):
    (folder / "told").touch()
    while not (folder / "may_end").exists():
        time.sleep(0.02)
    sys.exit()
signal.signal(signal.SIGTERM, end)
listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
listener.accept()
(folder / "asked").touch()
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a folder for programs that are found before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def starting(tmp_path: Path, path: Path) -> Iterator[DemoProcess]:
    """Return a demo that waits for a Redis which says nothing."""
    put_program(path / "redis-server", SLOW_REDIS)
    with running_demo(tmp_path / "demo", path=f"{path}:{os.environ['PATH']}") as demo:
        eventually((path / "asked").exists, "a Redis that is waited for")
        try:
            yield demo
        finally:
            (path / "may_end").touch()


def put_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


# The whole demo


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_interrupted_while_a_piece_starts_ends_that_too(
    starting: DemoProcess, path: Path, number: int
) -> None:
    (path / "may_end").touch()
    assert starting.end(number) == 0
    assert starting.pieces() == {}
    assert starting.text.splitlines()[-1] == "Everything is stopped."


def test_a_demo_killed_while_a_piece_starts_leaves_nothing_behind(
    starting: DemoProcess, path: Path
) -> None:
    (path / "may_end").touch()
    starting.end(signal.SIGKILL)
    eventually(lambda: not starting.pieces(), "the end of every piece")


def test_a_second_interrupt_does_not_cut_the_end_short(starting: DemoProcess, path: Path) -> None:
    starting.process.send_signal(signal.SIGINT)
    eventually((path / "told").exists, "the end to begin")
    starting.process.send_signal(signal.SIGINT)
    (path / "may_end").touch()
    assert starting.process.wait(PATIENCE) == 0
    assert starting.pieces() == {}
    assert starting.text.splitlines()[1:] == ["Stopping everything …", "Everything is stopped."]


def test_an_interrupt_while_the_demo_is_imported_ends_it_quietly(
    tmp_path: Path, path: Path
) -> None:
    """One of the modules raises the signal, as that moment can't be hit from outside."""
    (path / "rich").mkdir()
    (path / "rich" / "__init__.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGINT)\n"
    )
    found = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    with running_demo(tmp_path / "demo", pythonpath=found) as demo:
        assert demo.process.wait(PATIENCE) == 0
    assert demo.text == ""


# Its parts


@pytest.fixture
def obeyed() -> Iterator[None]:
    """Have this process obey signals as the demo does, until the test ends."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    interrupts.obey()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_is_held_back_comes_as_soon_as_it_may(obeyed: None) -> None:
    done = []

    def work() -> None:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("this")
        done.append("that")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["this"]
    with interrupts.held_back():
        done.append("more")


def a_command(folder: Path) -> Command:
    return Command("shell", "shell", "-c", "import time; time.sleep(600)", log=folder / "log")


@pytest.mark.parametrize("make", [a_command, RedisServer])
def test_an_interrupt_between_a_start_and_the_note_of_it_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obeyed: None, make: Callable[[Path], Piece]
) -> None:
    born: list[subprocess.Popen[bytes]] = []
    with Supervisor(switches=Switches(tmp_path), say=lambda text: None) as supervisor:
        monkeypatch.setattr(subprocess, "Popen", interrupted(born))
        with pytest.raises(KeyboardInterrupt):
            supervisor.add(make(tmp_path))
    assert [process.returncode is None for process in born] == [False]


def interrupted(born: list[subprocess.Popen[bytes]]) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a Popen that is interrupted before anybody knows what it has started."""
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        born.append(popen(*args, **options))
        signal.raise_signal(signal.SIGINT)
        return born[-1]

    return start


def test_a_server_that_is_interrupted_as_its_block_begins_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obeyed: None
) -> None:
    born: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(subprocess, "Popen", interrupted(born))
    with pytest.raises(KeyboardInterrupt), RedisServer(tmp_path):
        pass
    assert [process.returncode is None for process in born] == [False]


def test_what_can_not_be_started_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: Path
) -> None:
    put_program(path / "redis-server", "#!/bin/sh\nexit 3\n")
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    with Supervisor(switches=Switches(tmp_path), say=lambda text: None) as supervisor:
        with pytest.raises(RedisServerError, match="did not start"):
            supervisor.add(RedisServer(tmp_path / "redis"))
        assert supervisor.pieces == []
