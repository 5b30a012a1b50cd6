"""Chunks on their way to RQ's queues, and queues whose Redis is elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from eda_django.chunks import Chunk
from eda_django.dispatch.rq_transport import RqTransport
from tests.integration.servers import queue_at


def a_chunk(queue: str = "fast", *, ids: tuple[int, ...] = (1, 2), name: str = "x.y") -> Chunk:
    return Chunk(token=uuid4(), subscriber=name, queue=queue, delivery_ids=ids)


def push(*chunks: Chunk, transport: RqTransport | None = None) -> dict[UUID, str]:
    return (transport or RqTransport()).push(chunks, using="default")


def alive(*chunks: Chunk, transport: RqTransport | None = None) -> set[UUID]:
    return (transport or RqTransport()).alive({chunk.token: chunk.queue for chunk in chunks})


@contextmanager
def elsewhere(settings: Any, *names: str, port: int) -> Iterator[None]:
    """Move these queues to the Redis at another port."""
    moved = {name: queue_at(port) for name in names or settings.RQ_QUEUES}
    before, settings.RQ_QUEUES = settings.RQ_QUEUES, {**settings.RQ_QUEUES, **moved}
    yield
    settings.RQ_QUEUES = before
