"""Rows for the lists, their addresses, and who looks."""

from typing import Any
from uuid import UUID

from django.test import Client
from django.utils import timezone

from eda_django.models import Attempt, Delivery, OutboxEvent

LISTS = ("outboxevent", "delivery", "relayheartbeat")


def address(model: str, rest: str = "") -> str:
    return f"/admin/eda_django/{model}/{rest}"


def deliver(event_id: UUID, **values: Any) -> Any:
    row = OutboxEvent.objects.get(event_id=event_id)
    common = {"subscriber": "testapp.behave", "queue": "default", "status": "succeeded"}
    return Delivery.objects.create(event=row, **{**common, **values})


def fail(delivery: Any, text: str = "it broke", trace: str = "Traceback") -> Any:
    return Attempt.objects.create(
        delivery=delivery,
        number=1,
        worker="host:1",
        finished_at=timezone.now(),
        error_class="ValueError",
        error_text=text,
        traceback=trace,
    )


def shown(client: Client, model: str, **query: Any) -> int:
    """Return how many rows a list shows."""
    answer = client.get(address(model), query)
    assert answer.status_code == 200
    return len(answer.context["cl"].result_list)
