"""What an operator posts, and what became of it."""

import re
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client

from tests.console import url

VERBS = {
    "retry": "retry_delivery",
    "retry_now": "retry_delivery_now",
    "discard": "discard_delivery",
}


def post(client: Client, verb: str, *rows: Any, **values: Any) -> Any:
    ids = [row.pk for row in rows]
    data = {"verb": verb, "ids": ids, "back": url("delivery_changelist"), **values}
    return client.post(url("delivery_act"), data, follow=True)


def resending(client: Client, event_id: int, *subscribers: str, **values: Any) -> dict[str, Any]:
    """Return what is posted to send an event again, as it is seen now."""
    content = client.get(url("outboxevent_resend", event_id)).content.decode()
    (seen,) = re.findall('name="seen" value="([^"]+)"', content)
    return {"seen": seen, "subscribers": subscribers, **values}


def status(row: Any) -> str:
    row.refresh_from_db()
    return str(row.status)


def log() -> list[tuple[str | None, str]]:
    return list(LogEntry.objects.order_by("pk").values_list("object_id", "change_message"))
