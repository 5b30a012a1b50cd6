"""What receivers of the signals are told of deliveries that are put off."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from eda_django import Event, RetryLater, signals
from eda_django.models import Delivery
from eda_django.registry import registry
from tests.consumer.running import one_chunk, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told() -> Iterator[list[tuple[Any, str, str]]]:
    """Return what a receiver of Delivery's signal gets: number, state and reason."""
    found: list[tuple[Any, str, str]] = []

    def receive(*, delivery: Delivery, reason: str, **_: Any) -> None:
        found.append((delivery.pk, delivery.status, reason))

    signals.delivery_deferred.connect(receive, sender=Delivery)
    yield found
    signals.delivery_deferred.disconnect(receive, sender=Delivery)


def test_each_delivery_of_an_unknown_subscriber_is_told_of(told: Any) -> None:
    chunk = one_chunk(2)
    registry.remove("t.sub")
    run(chunk)
    reason = "no running code knows the subscriber 't.sub'"
    assert told == [(pk, "pending", reason) for pk in chunk.delivery_ids]


def test_reason_of_a_subscriber_that_puts_it_off_is_told(told: Any) -> None:
    def later(seen: Event[Any]) -> None:
        raise RetryLater(600, "the bank is closed")

    chunk = one_chunk(1, later)
    run(chunk)
    assert told == [(chunk.delivery_ids[0], "pending", "the bank is closed")]


def test_nothing_is_told_of_deliveries_that_another_took_meanwhile(told: Any) -> None:
    chunk = one_chunk(2)
    registry.remove("t.sub")

    tokens = [uuid4()]

    def take(execute: Any, sql: str, *args: Any) -> Any:
        if tokens and sql.startswith("UPDATE"):
            Delivery.objects.update(token=tokens.pop())
        return execute(sql, *args)

    with connection.execute_wrapper(take):
        run(chunk)
    assert told == []
