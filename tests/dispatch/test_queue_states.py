"""What stands in the queues and who works on them, as the console shows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django_rq
import pytest
from rq import Worker
from rq.suspension import resume, suspend

from eda_django.dispatch import queues
from eda_django.dispatch.queues import QueueState, queue_states
from tests.dispatch.queues import a_chunk, elsewhere, push
from tests.integration.servers import closed_port, hanging_server
from tests.relaying import on_happened

UNUSABLE: list[dict[str, Any]] = [
    {"URL": "localhost:6379"},
    {"URL": None},
    {"DB": 0},
    {"HOST": "localhost", "PORT": "x"},
]


def states() -> dict[str, QueueState]:
    found = queue_states()
    assert found is not None
    assert [state.name for state in found] == sorted(state.name for state in found)
    return {state.name: state for state in found}


@contextmanager
def workers(*takes: str) -> Iterator[list[Worker]]:
    """Register workers, each with the queues it takes from, separated by commas."""
    made = []
    for names in takes:
        taken = [django_rq.get_queue(name) for name in names.split(",")]
        made.append(Worker(taken, connection=taken[0].connection))
    for worker in made:
        worker.register_birth()
    yield made
    for worker in made:
        worker.register_death()


def subscribe(*names: str) -> None:
    for name in names:
        on_happened(lambda event: None, name=f"t.{name}", queue=name)


def test_each_queue_tells_its_jobs_and_the_workers_that_live(redis_client: Any) -> None:
    subscribe("fast", "slow")
    push(a_chunk("fast"), a_chunk("fast"), a_chunk("slow"))
    with workers("fast", "fast,slow", "slow") as (_, _, died):
        redis_client.delete(died.key)
        found = states()
    assert found["fast"] == QueueState(name="fast", depth=2, workers=2)
    assert found["slow"] == QueueState(name="slow", depth=1, workers=1)


def test_the_queue_of_subscriptions_that_name_none_is_among_them(
    redis_client: Any, settings: Any
) -> None:
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "QUEUE": "json"}
    push(a_chunk("json"))
    assert states()["json"] == QueueState(name="json", depth=1, workers=0)


def test_a_queue_that_the_site_does_not_have_is_left_out(redis_client: Any) -> None:
    subscribe("fast", "nowhere")
    assert "fast" in states()
    assert "nowhere" not in states()


def test_queues_on_several_servers_are_each_asked_where_they_are(
    redis_client: Any, settings: Any
) -> None:
    there = {**settings.RQ_QUEUES["slow"], "DB": 1}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": there}
    subscribe("fast", "slow")
    push(a_chunk("fast"), a_chunk("slow"), a_chunk("slow"))
    with workers("slow"):
        found = states()
    assert (found["fast"].depth, found["fast"].workers) == (1, 0)
    assert (found["slow"].depth, found["slow"].workers) == (2, 1)


def test_queues_are_paused_where_the_workers_of_their_redis_are_suspended(
    redis_client: Any, settings: Any
) -> None:
    there = {**settings.RQ_QUEUES["slow"], "DB": 1}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": there}
    subscribe("fast", "slow")
    assert not any(state.is_paused for state in states().values())
    connection = django_rq.get_queue("slow").connection
    suspend(connection)
    try:
        assert [name for name, state in states().items() if state.is_paused] == ["slow"]
    finally:
        resume(connection)


# redis-py 5.0 leaves the socket of a failed connect to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_others_are_told_while_one_of_the_servers_is_away(
    settings: Any, redis_client: Any
) -> None:
    subscribe("fast", "slow")
    push(a_chunk("fast"))
    with elsewhere(settings, "slow", port=closed_port()):
        found = states()
    assert (found["fast"].is_away, found["fast"].depth) == (False, 1)
    assert (found["slow"].is_away, found["slow"].depth) == (True, 0)


@pytest.mark.parametrize("config", UNUSABLE)
def test_the_others_are_told_while_the_address_of_one_can_not_be_read(
    settings: Any, redis_client: Any, config: dict[str, Any]
) -> None:
    subscribe("fast", "slow")
    push(a_chunk("fast"))
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": config}
    found = states()
    assert (found["fast"].is_away, found["fast"].depth) == (False, 1)
    assert (found["slow"].is_away, found["slow"].depth) == (True, 0)


@pytest.mark.parametrize("key", ["rq:queue:fast", "rq:workers:fast"])
def test_something_else_in_the_place_of_a_key_hides_no_other_queue(
    redis_client: Any, key: str
) -> None:
    subscribe("fast", "slow")
    push(a_chunk("slow"))
    redis_client.set(key, "neither list nor set")
    with workers("slow"):
        found = states()
    assert (found["fast"].depth, found["fast"].workers, found["fast"].is_away) == (0, 0, False)
    assert (found["slow"].depth, found["slow"].workers) == (1, 1)


def test_a_redis_that_hangs_keeps_nobody_waiting(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "TIMEOUT", 0.05)
    with hanging_server() as server, elsewhere(settings, port=server.port):
        assert queue_states() is None
