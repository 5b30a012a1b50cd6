"""Events that were relayed; deliveries that are queued, and settled."""

from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from eda_django.models import Delivery, OutboxEvent
from tests.relaying import (
    on_happened,
    relayed,
)

LEASE = 30.0


def queued(count: int = 1) -> tuple[UUID, list[int]]:
    """Make deliveries that are queued under one claim."""
    on_happened(lambda event: None)
    ids = relayed(count).ids
    token = uuid4()
    Delivery.objects.update(token=token)
    return token, ids


def relayed_event() -> OutboxEvent:
    """Make an event that has been fanned out, and no delivery of it."""
    made: OutboxEvent = OutboxEvent.objects.create(
        event_id=uuid4(),
        type="t.happened",
        source="tests",
        data={},
        correlation_id="c",
        time=timezone.now(),
        relayed_at=timezone.now(),
    )
    return made


def settle(pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None = None) -> int:
    return int(Delivery.objects.settle(pk, outcome, token=token, then=then, lease=LEASE))


def get(pk: int) -> Delivery:
    found: Delivery = Delivery.objects.get(pk=pk)
    return found
