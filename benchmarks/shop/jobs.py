"""What plain django-rq runs: the same INSERT."""

from typing import Any

from benchmarks.business.models import Effect


def note(sale: dict[str, Any]) -> None:
    Effect.objects.create(number=sale["number"])


def mark() -> None:
    """Say that the worker is at work; what is measured comes after it in the queue."""
    Effect.objects.create(number=-1)
