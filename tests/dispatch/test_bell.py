"""Waiting for the bell in Redis, and ringing it."""

import threading
import time
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from eda_django.dispatch import bell
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.doorbell import Doorbell
from tests.dispatch.queues import elsewhere
from tests.integration.servers import closed_port


class TestWait:
    def test_ring_ends_the_wait_and_is_used_up(self, redis_client: Any) -> None:
        """With those that came together, once the relay is about to look at everything."""
        redis_client.lpush("eda_django:tests:bell:default", 1, 1, 1)
        transport = RqTransport()
        for seconds in (60.0, 0.0):
            transport.wait(seconds, using="default", wake=threading.Event())
        assert redis_client.keys() == []

    def test_ring_for_another_database_does_not(self, redis_client: Any) -> None:
        redis_client.lpush("eda_django:tests:bell:other", 1)
        RqTransport().wait(0.02, using="default", wake=threading.Event())
        assert redis_client.llen("eda_django:tests:bell:other") == 1

    def test_wait_is_over_after_its_time_when_redis_is_away(self, settings: Any) -> None:
        with elsewhere(settings, port=closed_port()):
            started = time.monotonic()
            RqTransport().wait(0.05, using="default", wake=threading.Event())
        assert time.monotonic() - started >= 0.05

    def test_wake_ends_the_wait_when_redis_is_away(self, settings: Any) -> None:
        wake = threading.Event()
        threading.Timer(0.05, wake.set).start()
        with elsewhere(settings, port=closed_port()):
            RqTransport().wait(60.0, using="default", wake=wake)
        assert wake.is_set()


class TestRing:
    def test_rings_are_capped(self, redis_client: Any) -> None:
        """A relay that is off for a day finds a short list."""
        ringer = bell._Bell()
        for _ in range(bell.TOO_MANY_RINGS):
            ringer.ring("default")
        assert redis_client.llen("eda_django:tests:bell:default") == bell.TOO_MANY_RINGS
        ringer.ring("default")
        assert redis_client.llen("eda_django:tests:bell:default") == bell.MAX_RINGS

    def test_bell_follows_the_settings(self, redis_client: Any, settings: Any) -> None:
        ringer = bell._Bell()
        ringer.ring("default")
        with (
            elsewhere(settings, "default", port=closed_port()),
            pytest.raises(redis.exceptions.ConnectionError),
        ):
            ringer.ring("default")
        ringer.ring("default")
        assert redis_client.llen("eda_django:tests:bell:default") == 2

    def test_missing_queue_is_named_with_what_to_do(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A bare KeyError would say neither which setting it is, nor what would be right."""
        settings.RQ_QUEUES = {"fast": {}, "slow": {}}
        settings.EDA_DJANGO = {"QUEUE": "events"}
        doorbell = Doorbell(bell._Bell().ring)
        doorbell.ring("default")
        assert doorbell.flush(60.0)
        assert caplog.messages == [f"doorbell does not ring, relays poll meanwhile {MISSING}"]

    def test_waiting_relay_names_it_too(self, settings: Any) -> None:
        settings.RQ_QUEUES = {"fast": {}}
        with pytest.raises(
            ImproperlyConfigured, match=r"\['QUEUE'\] is 'default', which is not in"
        ):
            RqTransport().wait(60.0, using="default", wake=threading.Event())


MISSING = (
    "error=ImproperlyConfigured: EDA_DJANGO['QUEUE'] is 'events', which is not in RQ_QUEUES: add "
    "it there, or name one that is ('fast', 'slow'). Commits wake the relay through its Redis."
)
