"""The doorbell: beside the request, never in it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from eda_django import doorbell
from eda_django.doorbell import FIRST_PAUSE, GAP, LONGEST_PAUSE, Doorbell
from tests.waiting import eventually

PATIENCE = 20.0


class Recorder:
    """A push that records what it was called with, and waits or fails on demand."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.may_go = threading.Event()
        self.entered = threading.Event()
        self.may_go.set()
        self.error: Exception | None = None

    def __call__(self, using: str) -> None:
        self.entered.set()
        assert self.may_go.wait(PATIENCE)
        self.threads.add(threading.current_thread())
        self.rung.append(using)
        if self.error:
            raise self.error


def waits(condition: Any) -> bool:
    """Return whether a thread waits for this condition."""
    return bool(condition._waiters)


class TestDoorbell:
    def test_ring_is_pushed_by_another_thread(self) -> None:
        push = Recorder()
        bell = Doorbell(push)
        bell.ring("default")
        assert bell.flush(PATIENCE)
        assert push.rung == ["default"]
        assert push.threads.isdisjoint({threading.current_thread()})

    def test_ring_does_not_wait_for_the_push(self) -> None:
        """G6: a Redis that hangs keeps the thread, and nobody else."""
        push = Recorder()
        push.may_go.clear()
        bell = Doorbell(push)
        bell.ring("default")
        assert push.entered.wait(PATIENCE)
        bell.ring("default")
        assert not bell.flush(0.01)
        push.may_go.set()
        assert bell.flush(PATIENCE)

    def test_rings_that_come_meanwhile_are_one(self) -> None:
        push = Recorder()
        push.may_go.clear()
        bell = Doorbell(push)
        bell.ring("default")
        assert push.entered.wait(PATIENCE)
        for _ in range(100):
            bell.ring("default")
            bell.ring("other")
        push.may_go.set()
        assert bell.flush(PATIENCE)
        assert push.rung[0] == "default"
        assert sorted(push.rung[1:]) == ["default", "other"]

    def test_commits_that_come_faster_than_a_relay_turns_share_a_ring(self) -> None:
        push = Recorder()
        bell = Doorbell(push)
        began_at = time.monotonic()
        for _ in range(200):
            bell.ring("default")
            time.sleep(0.001)
        most = (time.monotonic() - began_at) / GAP + 1
        assert bell.flush(PATIENCE)
        assert 1 < len(push.rung) <= most + 1

    def test_a_first_ring_and_a_flush_wait_for_no_gap(self, monkeypatch: Any) -> None:
        """A subscriber starts no later in quiet times, and no worker lingers at its end."""
        monkeypatch.setattr(doorbell, "GAP", 10 * PATIENCE)
        push = Recorder()
        bell = Doorbell(push)
        for count in (1, 2, 3):
            bell.ring("default")
            assert bell.flush(PATIENCE)
            assert len(push.rung) == count

    def test_a_flush_also_hurries_what_was_rung_during_a_push(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(doorbell, "GAP", 10 * PATIENCE)
        push = Recorder()
        push.may_go.clear()
        bell = Doorbell(push)
        bell.ring("default")
        assert push.entered.wait(PATIENCE)
        bell.ring("other")
        threading.Timer(0.05, push.may_go.set).start()
        assert bell.flush(PATIENCE)
        assert push.rung == ["default", "other"]

    def test_a_flush_in_the_gap_after_a_ring_ends_it(self, monkeypatch: Any) -> None:
        """A worker that ends just after it has rung for what it published before."""
        monkeypatch.setattr(doorbell, "GAP", 10 * PATIENCE)
        push = Recorder()
        bell = Doorbell(push)
        bell.ring("default")
        eventually(lambda: waits(bell._is_hurried))
        bell.ring("default")
        assert bell.flush(PATIENCE)
        assert push.rung == ["default"] * 2

    def test_a_ring_wakes_the_thread_that_waits_for_one(self, monkeypatch: Any) -> None:
        """At once, and not when it has idled for long enough to look by itself."""
        monkeypatch.setattr(doorbell, "IDLE", 10 * PATIENCE)
        push = Recorder()
        bell = Doorbell(push)
        for _ in range(2):
            bell.ring("default")
            eventually(lambda: waits(bell._is_wanted) and not bell._wanted)
        assert push.rung == ["default"] * 2

    def test_after_a_failure_nothing_is_tried_for_a_while(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The pauses grow up to the longest, and one line is logged for all of them."""
        now = 0.0
        push = Recorder()
        push.error = ConnectionError("nobody there")
        bell = Doorbell(push, clock=lambda: now)
        pauses = []
        for _ in range(7):
            tried = len(push.rung)
            bell.ring("default")
            assert bell.flush(PATIENCE)
            assert len(push.rung) == tried + 1
            pauses.append(bell._silent_until - now)
            bell.ring("default")
            assert bell.flush(PATIENCE)
            assert len(push.rung) == tried + 1
            now = bell._silent_until
        assert pauses == [FIRST_PAUSE, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE]
        assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
            "doorbell does not ring, relays poll meanwhile error=ConnectionError: nobody there"
        ]

    def test_success_ends_the_pauses(self) -> None:
        now = 0.0
        push = Recorder()
        push.error = ConnectionError()
        bell = Doorbell(push, clock=lambda: now)
        for error in (ConnectionError(), ConnectionError(), None, ConnectionError()):
            push.error = error
            bell.ring("default")
            assert bell.flush(PATIENCE)
            pause, now = bell._silent_until - now, max(now, bell._silent_until)
        assert pause == FIRST_PAUSE

    def test_idle_thread_ends_and_the_next_ring_starts_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("eda_django.doorbell.IDLE", 0.01)
        push = Recorder()
        bell = Doorbell(push)
        bell.ring("default")
        assert bell.flush(PATIENCE)
        (thread,) = push.threads
        thread.join(PATIENCE)
        assert not thread.is_alive()
        bell.ring("default")
        assert bell.flush(PATIENCE)
        assert len(push.rung) == 2

    def test_thread_that_can_not_start_is_tried_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the system's limit of threads, and while the interpreter ends."""

        def refuse(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        push = Recorder()
        bell = Doorbell(push)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                bell.ring("default")
        assert bell.flush(0.0)
        bell.ring("default")
        assert bell.flush(PATIENCE)
        assert push.rung == ["default"]

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_bell_rings_in_a_forked_child(self) -> None:
        """RQ's work horse and gunicorn's workers: a fork copies neither thread nor lock."""
        push = Recorder()
        bell = Doorbell(push)
        bell.ring("default")
        assert bell.flush(PATIENCE)
        with bell._lock:
            child = os.fork()
            if child == 0:
                # A lock that nobody in it would ever release must not hang it.
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(int(PATIENCE))
                os._exit(_ring_in_child(bell, push))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _ring_in_child(bell: Doorbell, push: Recorder) -> int:
    bell.ring("other")
    return 0 if bell.flush(PATIENCE) and push.rung == ["default", "other"] else 1


# Without limits that a busy machine would reach.
EXITING = f"""
from eda_django import doorbell
doorbell.PARTING = {PATIENCE}
import django
django.setup()
from eda_django import dispatch
dispatch.bell.BELL_TIMEOUT = {PATIENCE}
dispatch.ring(using="default")
"""


@pytest.mark.processes
def test_process_that_ends_rings_first(redis_client: Any) -> None:
    """`manage.py place_order` must not leave its events to the next poll."""
    subprocess.run([sys.executable, "-c", EXITING], check=True, timeout=60)
    assert redis_client.llen("eda_django:tests:bell:default") == 1
