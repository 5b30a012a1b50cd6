"""What the tests of publish() share: events, and a transaction that is rolled back."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from eda_django.models import OutboxEvent
from tests.testapp.events import OrderPlaced


class Cancelled(Exception):
    """Rolls a transaction back."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """Run the body in a transaction, or a savepoint, that is rolled back."""
    with suppress(Cancelled), transaction.atomic():
        yield
        raise Cancelled


def texts(using: str = "default") -> list[str]:
    return [row.data["text"] for row in OutboxEvent.objects.using(using).order_by("id")]


def placed() -> OrderPlaced:
    return OrderPlaced(
        number="A-1",
        total=Decimal("12.50"),
        placed_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        reference=UUID(int=5),
    )


def statements(using: str = "default") -> CaptureQueriesContext:
    return CaptureQueriesContext(connections[using])


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing_connections(function)).result()


def closing_connections(function: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return run
