"""What the tests of recovery share: a chunk, a worker that dies, and a first look."""

from typing import Any
from uuid import uuid4

from eda_django.chunks import Chunk
from eda_django.models import Delivery
from eda_django.recovery import GRACE
from eda_django.relay import Relay
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


def seen_before(relay: Relay) -> Relay:
    """Have a relay see what is free and lapsed, as if that were a look a second ago."""
    workers, clock = relay.lost_workers, relay.lost_workers._clock
    workers._clock = lambda: clock() - GRACE
    try:
        assert workers.recover() == 0
    finally:
        workers._clock = clock
    return relay
