"""The doorbell: beside the request, never in it."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings as site
from django.db import connections, transaction

from eda_django import dispatch, doorbell, publish
from eda_django.dispatch import bell as redis_bell
from eda_django.doorbell import FIRST_PAUSE, GAP, LONGEST_PAUSE, Doorbell
from tests.integration.servers import closed_port, hanging_server, queue_at
from tests.testapp.events import Noted

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
        with bell._changed:
            child = os.fork()
            if child == 0:
                os._exit(_ring_in_child(bell, push))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _ring_in_child(bell: Doorbell, push: Recorder) -> int:
    bell.ring("other")
    return 0 if bell.flush(PATIENCE) and push.rung == ["default", "other"] else 1


EXITING = """
import django
django.setup()
from eda_django import dispatch
dispatch.ring(using="default")
"""


@pytest.mark.processes
def test_process_that_ends_rings_first(redis_client: Any) -> None:
    """`manage.py place_order` must not leave its events to the next poll."""
    subprocess.run([sys.executable, "-c", EXITING], check=True, timeout=60)
    assert redis_client.llen("eda_django:tests:bell:default") == 1


class Watch:
    """Notes which threads talk to Redis."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[threading.Thread] = []
        for name in ("connect", "send_packed_command", "read_response"):
            original = getattr(redis.connection.AbstractConnection, name)
            monkeypatch.setattr(redis.connection.AbstractConnection, name, self._noting(original))

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            self.threads.append(threading.current_thread())
            return original(*args, **kwargs)

        return noting


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Doorbell:
    """Return the site's doorbell as it is in a new process."""
    dispatch.doorbell.flush(PATIENCE)
    fresh = Doorbell(redis_bell._Bell().ring)
    monkeypatch.setattr(redis_bell, "doorbell", fresh)
    return fresh


@pytest.mark.django_db(transaction=True)
class TestPublishing:
    """G6: with Redis away, hanging or refusing, publish() costs what it costs otherwise."""

    def publish(self, watch: Watch) -> list[str]:
        """Publish in a transaction; return the statements that were sent before the commit."""
        note = Statements()
        with transaction.atomic(), connections["default"].execute_wrapper(note):
            publish(Noted("x"))
        assert threading.current_thread() not in watch.threads
        return note.seen

    @pytest.mark.parametrize("state", ["well", "away", "hanging", "refusing"])
    def test_publish_costs_one_insert_and_no_call_to_redis(
        self,
        state: str,
        bell: Doorbell,
        redis_client: Any,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with hanging_server() as server:
            settings.RQ_QUEUES = {"default": self.queue(state, server.port)}
            watch = Watch(monkeypatch)
            statements = self.publish(watch)
            if state == "hanging":
                assert server.called.wait(PATIENCE)
                assert not bell.flush(0.0)
            assert bell.flush(PATIENCE)
        assert [s.split()[0] for s in statements] == ["INSERT"]
        # The bell did try, so that what is asserted above is about something.
        assert watch.threads

    def queue(self, state: str, hanging: int) -> dict[str, Any]:
        return {
            "well": queue_at(site.REDIS_PORT),
            "away": queue_at(closed_port()),
            "hanging": queue_at(hanging),
            "refusing": queue_at(site.REDIS_PORT, PASSWORD="wrong"),
        }[state]

    def test_bell_rings_once_a_commit_and_not_before(
        self, bell: Doorbell, redis_client: Any
    ) -> None:
        key = redis_bell.bell_key("default")
        with transaction.atomic():
            for _ in range(3):
                publish(Noted("x"))
            assert bell.flush(PATIENCE)
            assert redis_client.llen(key) == 0
        assert bell.flush(PATIENCE)
        assert redis_client.llen(key) == 1

    def test_bell_does_not_ring_for_what_is_rolled_back(
        self, bell: Doorbell, redis_client: Any
    ) -> None:
        with transaction.atomic():
            publish(Noted("x"))
            transaction.set_rollback(True)
        assert bell.flush(PATIENCE)
        assert redis_client.keys() == []


class Statements:
    """An execute_wrapper that keeps the statements."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.seen.append(sql)
        return execute(sql, params, many, context)
