"""A site whose outbox is in its second database: whoever asks the first one is refused."""

from typing import Any

import pytest

from eda_django import Event
from eda_django.models import Attempt, Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.models.status import CLAIMED
from tests.testapp.models import Effect

USING = "other"


def only_there(*, transaction: bool = False) -> list[pytest.MarkDecorator]:
    """Return the marks of tests that may use that database, and no other."""
    return [
        pytest.mark.django_db(transaction=transaction, databases=["default", USING]),
        pytest.mark.usefixtures("no_default_database"),
    ]


def write_there(seen: Event[Any]) -> None:
    """Subscribe this to have an effect that can be counted."""
    Effect.objects.using(USING).create(subscriber="t.sub", event_id=seen.id, attempt=seen.attempt)


def outbox() -> Any:
    return OutboxEvent.objects.using(USING).order_by("pk")


def deliveries() -> Any:
    return Delivery.objects.using(USING).order_by("pk")


def statuses() -> list[str]:
    return list(deliveries().values_list("status", flat=True))


def failures() -> list[str]:
    """Return the classes of all failed attempts."""
    rows = Attempt.objects.using(USING).order_by("pk")
    return list(rows.values_list("error_class", flat=True))


def effects() -> int:
    return Effect.objects.using(USING).count()


def make_due() -> None:
    """Let the time come for everything that waits for one."""
    deliveries().filter(status="pending").update(due_at=after(-1))
    outbox().exclude(available_at=None).update(available_at=after(-1))


def lapse() -> None:
    """Let all leases end now."""
    deliveries().filter(status__in=CLAIMED).update(lease_until=after(-1))
