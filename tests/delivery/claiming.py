"""Deliveries that are queued, and settled."""

from typing import Any
from uuid import UUID, uuid4

from eda_django.models import Delivery
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


def settle(pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None = None) -> int:
    return int(Delivery.objects.settle(pk, outcome, token=token, then=then, lease=LEASE))


def get(pk: int) -> Delivery:
    found: Delivery = Delivery.objects.get(pk=pk)
    return found
