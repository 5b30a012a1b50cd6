"""What the tests of recovery share: a chunk under one claim, and a worker that dies."""

from typing import Any
from uuid import uuid4

from eda_django.chunks import Chunk
from eda_django.models import Delivery
from tests.relaying import (
    Recorder,
    on_happened,
    relayed,
    write,
)


def one_chunk(count: int, transport: Recorder | None = None, **options: Any) -> Chunk:
    on_happened(write, **options)
    recorder = relayed(count, transport=transport)
    chunk = Chunk(
        token=uuid4(), subscriber="t.sub", queue="default", delivery_ids=tuple(recorder.ids)
    )
    Delivery.objects.update(token=chunk.token)
    recorder.chunks[:] = [chunk]
    return chunk


def die_at(chunk: Chunk, place: int) -> None:
    """Leave the rows as a worker does that is killed while it runs the delivery at this place."""
    for pk in chunk.delivery_ids[:place]:
        assert Delivery.objects.start(pk, token=chunk.token, lease=30.0)
        Delivery.objects.settle(
            pk, {"status": "succeeded", "lease_until": None}, token=chunk.token, then=None, lease=0
        )
    assert Delivery.objects.start(chunk.delivery_ids[place], token=chunk.token, lease=30.0)


def attempts() -> list[int]:
    return list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))
