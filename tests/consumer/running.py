"""What the tests of the consumer share: a chunk, a worker's run, and failures made to order."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from eda_django import Event, Retry
from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.models import Delivery
from tests.relaying import on_happened, relayed, write

PROMPT = Retry(max_attempts=3, base=0.0)


def one_chunk(count: int, subscriber: Callable[[Event[Any]], Any] = write, **options: Any) -> Chunk:
    """Return a chunk of so many deliveries: all under one claim, as under backlog."""
    on_happened(subscriber, **options)
    transport = relayed(count)
    chunk = Chunk(
        token=uuid4(), subscriber="t.sub", queue="default", delivery_ids=tuple(transport.ids)
    )
    Delivery.objects.update(token=chunk.token)
    return chunk


def run(chunk: Chunk, **options: Any) -> int:
    return consume(chunk.delivery_ids, token=chunk.token.hex, **options)


def fails_for(*numbers: int, error: type[BaseException] = RuntimeError) -> Any:
    """Return a subscriber that writes, and then fails for these events."""

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        if seen.data["number"] in numbers:
            raise error(f"event {seen.data['number']} fails")

    return subscriber
