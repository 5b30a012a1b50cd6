"""Payloads and errors as operators may see them: readable, and without what REDACT names."""

import json
from typing import Any

from ..models import OutboxEvent
from ..payloads import addressed, masked, redacted_values


def secrets_of(event: OutboxEvent) -> frozenset[str]:
    """Return what must not appear in texts about the event, by today's REDACT.

    Texts are masked when they are recorded, too, but by the REDACT of that day. To look through
    a payload takes long: once is enough for all texts of a page.
    """
    return frozenset(redacted_values([event.data, event.headers]))


def as_json(tree: Any) -> str:
    return _written(masked(tree))


def to_edit(tree: Any) -> str:
    """Return a payload as a form shows it, whose masks unmasked() puts back."""
    return _written(addressed(tree))


def _written(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False, sort_keys=True)
