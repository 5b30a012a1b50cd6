"""What receivers of the signals are told, and when: of what was committed, and after that."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.dispatch import Signal

from eda_django import Discard, Event, Retry, RetryLater, signals
from eda_django.models import Delivery, Status
from eda_django.registry import registry
from tests.consumer.running import one_chunk, run
from tests.relaying import write
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)


def fail(seen: Event[Any]) -> None:
    raise RuntimeError


def drop(seen: Event[Any]) -> None:
    raise Discard("sold out")


def put_off(seen: Event[Any]) -> None:
    raise RetryLater(600, "the bank is closed")


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
    chunk = one_chunk(1, put_off)
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


@pytest.mark.parametrize(
    ("signal", "subscriber", "attempts", "status"),
    [
        (signals.delivery_succeeded, write, 3, Status.SUCCEEDED),
        (signals.delivery_failed, fail, 3, Status.PENDING),
        (signals.delivery_dead, fail, 1, Status.DEAD),
        (signals.delivery_discarded, drop, 3, Status.DISCARDED),
        (signals.delivery_deferred, put_off, 3, Status.PENDING),
    ],
)
def test_receivers_are_told_after_the_commit_and_not_before(
    signal: Signal, subscriber: Any, attempts: int, status: Status
) -> None:
    seen: list[tuple[bool, str]] = []

    def receive(**_: Any) -> None:
        seen.append((connection.in_atomic_block, Delivery.objects.get().status))

    chunk = one_chunk(1, subscriber, retry=Retry(max_attempts=attempts, jitter=0.0))
    signal.connect(receive, sender=Delivery)
    try:
        run(chunk)
    finally:
        signal.disconnect(receive, sender=Delivery)
    assert seen == [(False, status)]


def test_nobody_is_told_of_a_success_that_was_rolled_back() -> None:
    told: list[Any] = []

    def lose_the_claim(seen: Event[Any]) -> None:
        write(seen)
        Delivery.objects.update(token=uuid4())

    def receive(signal: Signal, **_: Any) -> None:
        told.append(signal)

    outcomes = (
        signals.delivery_succeeded,
        signals.delivery_failed,
        signals.delivery_dead,
        signals.delivery_discarded,
        signals.delivery_deferred,
    )
    chunk = one_chunk(1, lose_the_claim)
    for signal in outcomes:
        signal.connect(receive, sender=Delivery)
    try:
        assert run(chunk) == 0
    finally:
        for signal in outcomes:
            signal.disconnect(receive, sender=Delivery)
    assert told == []
    assert not Effect.objects.exists()
