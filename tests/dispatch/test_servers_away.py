"""Who is asked whether there is any Redis left, and what is said if there is none."""

from typing import Any

import pytest
from redis.exceptions import RedisError
from rq import Queue

from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import TransportUnavailable
from tests.dispatch.queues import a_chunk, alive, elsewhere, push
from tests.integration.servers import closed_port
from tests.relaying import on_happened


class Wordless(Queue):
    def enqueue_many(self, *args: Any, **kwargs: Any) -> Any:
        raise RedisError


class Wordy(Queue):
    def enqueue_many(self, *args: Any, **kwargs: Any) -> Any:
        raise RedisError("x" * 300 + "\nand more")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [(Wordless, "Redis is away: RedisError"), (Wordy, f"Redis is away: {'x' * 200}")],
)
def test_the_reason_is_the_first_line_of_the_error_and_not_long(
    broken: type[Queue], reason: str, redis_client: Any, settings: Any
) -> None:
    config = {**settings.REDIS, "DB": 1, "QUEUE_CLASS": broken}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": config}
    chunk = a_chunk("slow")
    assert push(chunk) == {chunk.token: reason}


def test_the_last_server_that_answers_is_enough(redis_client: Any, settings: Any) -> None:
    """G4: one that is away does not hide another behind it."""
    on_happened(lambda event: None, queue="slow")
    chunk = a_chunk("default")
    with elsewhere(settings, *(set(settings.RQ_QUEUES) - {"slow"}), port=closed_port()):
        assert list(push(chunk)) == [chunk.token]


@pytest.mark.parametrize(
    "ask", [RqTransport.check, lambda transport: alive(a_chunk(), transport=transport)]
)
def test_it_is_said_why_no_server_answers(ask: Any, settings: Any) -> None:
    with elsewhere(settings, port=closed_port()), pytest.raises(TransportUnavailable) as caught:
        ask(RqTransport())
    assert str(caught.value).startswith("Error 111 connecting to 127.0.0.1")
    assert isinstance(caught.value.__cause__, RedisError)


def test_a_queue_whose_key_holds_something_else_hurts_no_other(redis_client: Any) -> None:
    """G4: neither what is pushed with it, nor what is pushed after it."""
    redis_client.set("rq:queue:slow", "no list")
    transport = RqTransport()
    stuck, other = a_chunk("slow"), a_chunk("fast")
    refused = push(stuck, other, transport=transport)
    assert list(refused) == [stuck.token]
    assert "WRONGTYPE" in refused[stuck.token]
    assert list(push(stuck, transport=transport)) == [stuck.token]
    assert push(a_chunk("fast"), transport=transport) == {}
    # Jobs that no queue has would stay for ever.
    assert len(redis_client.keys("rq:job:eda-*")) == 2
    # Whether it is on its way, nobody can tell.
    assert alive(stuck, a_chunk("fast"), transport=transport) == {stuck.token}
