"""Relays, workers and publishers keep their connections to Redis: turns and jobs open none."""

from typing import Any

import pytest
import redis

from eda_django.models import Delivery, Status
from tests.integration import ordering
from tests.integration.ordering import place_notes, place_orders
from tests.integration.processes import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.processes

# Short, so that the relay asks between two rounds what became of what nobody has taken.
LEASE = 0.5
# A connection for each round would be as many. The bell of the tests' own process, which waits for
# half a second only, may need another one on a busy machine.
ROUNDS = 3


class Connections:
    """Who is connected to Redis, and how many have ever been."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    @property
    def opened(self) -> int:
        return int(self._client.info("stats")["total_connections_received"])

    @property
    def ids(self) -> set[str]:
        return {client["id"] for client in self._client.client_list()}

    def called(self, command: str) -> int:
        return int(self._client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


@pytest.fixture
def connections(redis_client: redis.Redis) -> Connections:
    return Connections(redis_client)


def test_a_relay_keeps_its_connections(processes: Processes, connections: Connections) -> None:
    """It pushes on three queues, waits for the doorbell, and asks what became of the jobs.

    django_rq.get_queue() alone would open a connection at each call.
    """
    processes.relay(lease=LEASE).says("relay started")

    def go_round(number: int) -> None:
        place_orders(2)
        place_notes("")
        eventually(lambda: ordering.statuses() == {Status.QUEUED: 7 * number})
        # For each job once, in three queues, after this round's leases.
        jobs = Delivery.objects.values("token").distinct().count()
        asked = connections.called("lpos")
        eventually(lambda: connections.called("lpos") >= asked + jobs)

    go_round(1)
    opened, ids = connections.opened, connections.ids
    for number in range(2, 2 + ROUNDS):
        go_round(number)
    assert connections.opened - opened < ROUNDS
    assert len(ids - connections.ids) <= 1


def test_a_worker_keeps_its_connections(processes: Processes, connections: Connections) -> None:
    """Also the one that rings, for what its subscribers publish. Beside it a relay."""
    processes.relay()
    processes.worker("default", "fast", "slow")

    def go_round(number: int) -> None:
        place_orders(2)
        place_notes("fail:1", "publish")
        eventually(lambda: ordering.statuses() == {Status.SUCCEEDED: 9 * number})

    go_round(1)
    opened, ids = connections.opened, connections.ids
    for number in range(2, 2 + ROUNDS):
        go_round(number)
    assert connections.opened - opened < ROUNDS
    assert len(ids - connections.ids) <= 1
