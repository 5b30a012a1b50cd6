"""Payloads and errors as operators may see them: readable, and without what REDACT names."""

import json
from typing import Any

from ..models import OutboxEvent
from ..payloads import masked, redacted_values, without


def without_secrets(text: str, event: OutboxEvent) -> str:
    """Return a text about the event with today's secrets masked.

    They are masked when they are recorded, too, but by the REDACT of that day.
    """
    return without(text, redacted_values([event.data, event.headers]))


def as_json(tree: Any) -> str:
    return json.dumps(masked(tree), indent=2, ensure_ascii=False, sort_keys=True)
