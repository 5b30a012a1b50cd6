"""Subscribers that are coroutines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from eda_django import Event, apublish
from eda_django.models import OutboxEvent
from tests.consumer.running import one_chunk, run
from tests.relaying import only_delivery
from tests.testapp.models import Effect


@pytest.mark.django_db(transaction=True)
def test_async_subscriber_writes_in_the_transaction() -> None:
    """G3: also for `async def`."""

    async def subscriber(seen: Event[Any]) -> None:
        await Effect.objects.acreate(subscriber="t", event_id=seen.id, attempt=seen.attempt)
        if seen.data["number"] == 1:
            raise RuntimeError

    assert run(one_chunk(3, subscriber)) == 2
    assert Effect.objects.count() == 2


@pytest.mark.django_db
def test_async_subscriber_that_takes_too_long_fails() -> None:
    async def subscriber(seen: Event[Any]) -> None:
        await asyncio.Event().wait()

    run(one_chunk(1, subscriber, timeout=0.05))
    assert only_delivery().error_text == (
        "Subscriber 't.sub' took longer than its timeout, 0.05 s."
    )


@pytest.mark.django_db
def test_timeout_of_an_async_subscribers_own_is_its_own_error() -> None:
    async def subscriber(seen: Event[Any]) -> None:
        raise TimeoutError("the bank did not answer")

    run(one_chunk(1, subscriber, timeout=30))
    row = only_delivery()
    assert (row.error_class, row.error_text) == ("TimeoutError", "the bank did not answer")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [True, False])
def test_apublish_in_a_subscriber_joins_its_transaction_if_it_has_one(atomic: bool) -> None:
    """G1: with atomic=True, an attempt that fails takes along what it published."""

    async def subscriber(seen: Event[Any]) -> None:
        await apublish("t.answered", seen.data)
        if seen.data["number"] == 1:
            raise RuntimeError

    run(one_chunk(2, subscriber, atomic=atomic))
    answers = OutboxEvent.objects.filter(type="t.answered").order_by("pk")
    assert [row.data["number"] for row in answers] == ([0] if atomic else [0, 1])


async def coroutine(seen: Event[Any]) -> None:
    raise AssertionError("nobody awaits it")


def generator(seen: Event[Any]) -> Iterator[None]:
    yield


async def async_generator(seen: Event[Any]) -> AsyncIterator[None]:
    yield


async def twice(seen: Event[Any]) -> Any:
    return coroutine(seen)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function, as whoever thinks of sync ones only does."""

    @wraps(function)
    def wrapper(seen: Event[Any]) -> Any:
        return function(seen)

    return wrapper


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("subscriber", "kind"),
    [
        (traced(coroutine), "coroutine"),
        (traced(generator), "generator"),
        (traced(async_generator), "async_generator"),
        (twice, "coroutine"),
    ],
)
def test_subscriber_of_which_nothing_has_run_has_failed(
    subscriber: Callable[..., Any], kind: str
) -> None:
    """G2: its success would be the loss of the event."""
    assert run(one_chunk(1, subscriber)) == 0
    row = only_delivery()
    assert (row.status, row.error_class) == ("pending", "eda_django.exceptions.InvalidSubscriber")
    assert f"returned a {kind}, and nothing has run" in row.error_text
