"""Failed attempts as a page shows them: the latest, and how many older ones there are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..models import Attempt
from ..payloads import without
from .traces import shortened

# On a page; each may bring a long traceback.
MAX_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A failed attempt, and its texts without today's secrets."""

    attempt: Attempt
    error: str
    trace: str


def latest(attempts: Any) -> tuple[list[Attempt], int]:
    """Return the newest of these attempts, and how many more there are.

    They are counted only if not all are shown: an index leads to those of one delivery or event.
    """
    newest = list(attempts.order_by("-pk")[: MAX_ATTEMPTS + 1])
    older = attempts.count() - MAX_ATTEMPTS if len(newest) > MAX_ATTEMPTS else 0
    return newest[:MAX_ATTEMPTS], older


def shown(attempt: Attempt, secrets: Collection[str]) -> Shown:
    """Return an attempt as operators may see it."""
    return Shown(
        attempt=attempt,
        error=without(attempt.error_text, secrets),
        trace=shortened(without(attempt.traceback, secrets)),
    )
