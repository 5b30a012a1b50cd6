"""How long a relay waits for the bell."""

import threading
import time
from typing import Any

import pytest

from eda_django.dispatch import rq_transport
from eda_django.dispatch.rq_transport import RqTransport
from tests.dispatch.queues import elsewhere
from tests.integration.servers import closed_port, hanging_server


def wait(transport: RqTransport, seconds: float) -> float:
    """Return the seconds that it took."""
    began_at = time.monotonic()
    transport.wait(seconds, using="default", wake=threading.Event())
    return time.monotonic() - began_at


def test_a_ring_is_told_from_the_end_of_the_time(redis_client: Any) -> None:
    transport = RqTransport()
    never = threading.Event()
    for seconds in (60, 0.9, 0.05):
        redis_client.lpush("eda_django:tests:bell:default", 1)
        assert transport.wait(seconds, using="default", wake=never)
    assert not transport.wait(0.05, using="default", wake=never)
    assert not transport.wait(0.0, using="default", wake=never)


def test_nobody_rings(redis_client: Any) -> None:
    transport = RqTransport()
    took = [wait(transport, 0.05) for _ in range(3)]
    # A busy machine may keep it from one of them for longer, but not from each.
    assert 0.05 <= min(took) < 0.9


def test_a_redis_that_hangs_delays_the_next_turn_no_longer_than_its_time_limit(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rq_transport, "TIMEOUT", 0.1)
    with hanging_server() as server, elsewhere(settings, port=server.port):
        assert wait(RqTransport(), 0.2) < 5


def test_a_redis_that_is_back_is_heard_again(redis_client: Any, settings: Any) -> None:
    transport = RqTransport()
    with elsewhere(settings, port=closed_port()):
        wait(transport, 0.01)
    redis_client.lpush("eda_django:tests:bell:default", 1)
    assert wait(transport, 60) < 50


def test_rings_are_forgotten_once_after_one_was_heard(redis_client: Any) -> None:
    """A command more for each look would be one for nothing."""

    def forgotten() -> int:
        return int(redis_client.info("commandstats").get("cmdstat_del", {}).get("calls", 0))

    transport, key = RqTransport(), "eda_django:tests:bell:default"
    redis_client.lpush(key, 1, 1)
    wait(transport, 60)
    before = forgotten()
    wait(transport, 0.0)
    assert not redis_client.exists(key)
    wait(transport, 0.0)
    assert forgotten() == before + 1


def test_rings_that_can_not_be_forgotten_are_no_outage(redis_client: Any) -> None:
    """As on a replica, for as long as a failover takes."""
    transport, key = RqTransport(), "eda_django:tests:bell:default"
    redis_client.lpush(key, 1, 1)
    wait(transport, 60)
    redis_client.execute_command("REPLICAOF", "127.0.0.1", closed_port())
    try:
        wait(transport, 0.0)
        assert redis_client.exists(key)
    finally:
        redis_client.execute_command("REPLICAOF", "NO", "ONE")
