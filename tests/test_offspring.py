"""Processes that tests start take what they have forked with them."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.forking import Fork
from tests.offspring import descendants
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


def leave_a_child(mark: str) -> None:
    """Fork a process that stays, and end."""
    if os.fork():
        return
    Path(mark).write_text(f"{os.getpid()}")
    time.sleep(600)


def test_a_process_that_ends_while_it_is_looked_at_has_no_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = subprocess.Popen(["sleep", "600"])
    listdir = os.listdir

    def end_and_list(path: Path) -> list[str]:
        process.kill()
        process.wait()
        return listdir(path)

    monkeypatch.setattr(os, "listdir", end_and_list)
    assert descendants(process.pid) == []


def test_what_a_dead_process_has_left_behind_ends_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    parent = Fork(tmp_path / "log", leave_a_child, str(mark))
    eventually(lambda: mark.exists() and mark.read_text())
    parent.wait(60)
    assert not parent.is_running
    parent.kill()
    eventually(lambda: not Path(f"/proc/{mark.read_text()}/fd/1").is_symlink())
