"""Publishing while Redis is well, away, hanging or refusing: the doorbell is beside the request."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings as site
from django.db import transaction

from eda_django import dispatch, publish
from eda_django.dispatch import bell as redis_bell
from eda_django.doorbell import Doorbell
from tests.integration.servers import closed_port, hanging_server, queue_at
from tests.relaying import Statements
from tests.testapp.events import Noted
from tests.waiting import PATIENCE


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
        with transaction.atomic(), Statements() as statements:
            publish(Noted("x"))
        assert threading.current_thread() not in watch.threads
        return statements.texts

    @pytest.mark.parametrize("state", ["well", "away", "hanging", "refusing"])
    def test_publish_costs_one_insert_and_no_call_to_redis(
        self,
        state: str,
        bell: Doorbell,
        redis_client: Any,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """G6."""
        # It hangs until its server is gone.
        monkeypatch.setattr(redis_bell, "BELL_TIMEOUT", PATIENCE)
        with hanging_server() as server:
            settings.RQ_QUEUES = {"default": self.queue(state, server.port)}
            watch = Watch(monkeypatch)
            statements = self.publish(watch)
            if state == "hanging":
                assert server.called.wait(PATIENCE)
                assert not bell.flush(0.0)
            else:
                assert bell.flush(PATIENCE)
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
