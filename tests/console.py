"""What the tests of the console share: operators, rows in chosen states, and addresses."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from eda_django import publish
from eda_django.models import Attempt, Delivery, OutboxEvent, RelayHeartbeat
from tests.testapp.events import Noted

VIEW = ("view_outboxevent", "view_delivery", "view_attempt", "view_relayheartbeat")
ACTIONS = ("retry_delivery", "retry_delivery_now", "discard_delivery")
TRACE = """Traceback (most recent call last):
  File "/srv/shop/billing/services.py", line 15, in vat
    raise ValueError("no rate")
ValueError: no rate
"""


def operator(*permissions: str, **values: Any) -> Client:
    """Return the client of somebody who is staff, and may do this."""
    made = User.objects.create_user(username=uuid4().hex, is_staff=True, **values)
    found = Permission.objects.filter(
        codename__in=permissions, content_type__app_label="eda_django"
    )
    assert len(found) == len(permissions), permissions
    made.user_permissions.set(found)
    client = Client()
    client.force_login(made)
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:eda_django_{name}", args=args)


def event_row(text: str = "a", **values: Any) -> Any:
    """Publish an event, and return its row as fanned out."""
    row = OutboxEvent.objects.get(event_id=publish(Noted(text), **values).id)
    row.relayed_at = timezone.now()
    row.save()
    return row


def dead(subscriber: str = "testapp.behave", *, event: Any = None, **values: Any) -> Any:
    """Return a dead delivery, with its failed attempt."""
    event = event or event_row()
    common = {
        "status": "dead",
        "attempts": 3,
        "queue": "default",
        "error_class": "ValueError",
        "error_text": "no rate",
        "fingerprint": "f" * 32,
        "started_at": timezone.now(),
        "finished_at": timezone.now(),
    }
    row = Delivery.objects.create(
        event=event, subscriber=subscriber, key=event.key, **{**common, **values}
    )
    Attempt.objects.create(
        delivery=row,
        number=3,
        worker="host:1",
        finished_at=timezone.now(),
        error_class="ValueError",
        error_text="no rate",
        traceback=TRACE,
    )
    return row


def retrying(**values: Any) -> Any:
    """Return a delivery that waits for another attempt after one that failed."""
    due = timezone.now() + timedelta(hours=1)
    return dead(
        **{"status": "pending", "attempts": 1, "due_at": due, "finished_at": None, **values}
    )


def said(response: Any) -> list[str]:
    """Return what the next page tells the operator."""
    return [str(one) for one in response.context["messages"]]


def text(client: Client, page: str) -> str:
    """Return a page's source in one line."""
    answer = client.get(page)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def beat(seconds_ago: float = 0, **values: Any) -> Any:
    """Return the heartbeat of a relay that was heard of so long ago."""
    at = timezone.now() - timedelta(seconds=seconds_ago)
    about = {"hostname": "host-a", "pid": 7, "version": "1.2", **values}
    return RelayHeartbeat.objects.create(name=uuid4().hex, started_at=at, beat_at=at, **about)


def sentence() -> tuple[str, str, tuple[str, ...]]:
    """Return what the overview says first, and in which tone, and what it says then."""
    answer = operator(*VIEW).get(url("overview_changelist"))
    found = answer.context["health"]
    return found.tone, strip_tags(found.sentence), tuple(map(strip_tags, found.rest))
