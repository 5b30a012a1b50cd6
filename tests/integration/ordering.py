"""Orders as a site would place them, and what their subscribers did about them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from django.db import transaction

from eda_django import publish
from eda_django.models import Delivery, Status
from tests.testapp.events import Noted, OrderPlaced
from tests.testapp.models import Effect, Order

SUBSCRIBERS = ("testapp.reserve", "testapp.bill", "testapp.mail")
NAMESPACE = UUID("a40ab8e2-6bd8-4d9a-a9b2-0c9ba8f0b7a5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What was published of one order that was committed."""

    event_id: UUID
    payload: OrderPlaced


class ChangedMind(Exception):
    """Rolls an order back."""


def place_orders(count: int, *, using: str = "default") -> list[Placed]:
    """Place orders, of which every third is rolled back; return the others."""
    committed = []
    for number in range(count):
        payload = OrderPlaced(
            number=f"O-{number}",
            total=Decimal(number) + Decimal("0.10"),
            placed_at=datetime(2026, 3, 29, 0, 59, 59, 999999, UTC) + timedelta(minutes=number),
            reference=uuid5(NAMESPACE, str(number)),
        )
        try:
            with transaction.atomic(using=using):
                Order.objects.using(using).create(number=payload.number)
                event = publish(payload, using=using)
                if number % 3 == 2:
                    raise ChangedMind
        except ChangedMind:
            continue
        committed.append(Placed(event_id=event.id, payload=payload))
    return committed


def place_notes(*behaviours: str, using: str = "default") -> list[UUID]:
    """Publish notes for the subscriber that behaves as it is told; return the events' ids."""
    with transaction.atomic(using=using):
        return [publish(Noted(str(n), b), using=using).id for n, b in enumerate(behaviours)]


def expected_notes(placed: Iterable[Placed]) -> Counter[tuple[str, UUID, str]]:
    """Return what each subscriber has to leave behind, once, and of which payload."""
    found: Counter[tuple[str, UUID, str]] = Counter()
    for order in placed:
        payload = order.payload
        found["testapp.reserve", order.event_id, str(payload.total)] += 1
        found["testapp.bill", order.event_id, payload.placed_at.isoformat()] += 1
        found["testapp.mail", order.event_id, str(payload.reference)] += 1
    return found


def effects(*, using: str = "default") -> Counter[tuple[str, UUID, str]]:
    """Return what subscribers left behind, doubles included."""
    rows = Effect.objects.using(using).values_list("subscriber", "event_id", "note")
    return Counter(rows)


def count(status: Status, *, using: str = "default") -> int:
    return int(Delivery.objects.using(using).filter(status=status).count())


def statuses(*, using: str = "default") -> Counter[str]:
    """Return how many deliveries are in which state."""
    return Counter(Delivery.objects.using(using).values_list("status", flat=True))


def settled(total: int, *, using: str = "default") -> bool:
    """Return whether so many deliveries exist and none will be tried again."""
    found = statuses(using=using)
    ended = (Status.SUCCEEDED, Status.DEAD, Status.DISCARDED)
    return found.total() == total == sum(found[status] for status in ended)
