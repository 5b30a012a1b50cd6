"""Headers: from whoever publishes, through outbox, relay and consumer, to each subscriber."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from eda_django import Event, apublish, publish, publish_many
from eda_django.relay import Relay
from tests.relaying import HAPPENED, Recorder, make_due, on_happened

HEADERS = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tenant": {"name": "naïve 'north' %s", "shards": [1, None, 0.5]},
}


def by_publish() -> None:
    with transaction.atomic():
        publish(HAPPENED, {}, headers=HEADERS)


def by_publish_with_an_idempotency_key() -> None:
    with transaction.atomic():
        publish(HAPPENED, {}, headers=HEADERS, idempotency_key="once")


def by_publish_many() -> None:
    with transaction.atomic():
        publish_many([(HAPPENED, {})], headers=HEADERS)


def by_apublish() -> None:
    async_to_sync(apublish)(HAPPENED, {}, headers=HEADERS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "way", [by_publish, by_publish_with_an_idempotency_key, by_publish_many, by_apublish]
)
def test_headers_reach_the_subscriber(way: Callable[[], None]) -> None:
    """Sync and async, and also at the second attempt."""
    seen: list[tuple[str, int, Any]] = []

    def sync(event: Event[Any]) -> None:
        seen.append(("sync", event.attempt, event.headers))
        if event.attempt == 1:
            raise RuntimeError

    async def coroutine(event: Event[Any]) -> None:
        seen.append(("async", event.attempt, event.headers))

    on_happened(sync, name="t.sync")
    on_happened(coroutine, name="t.async")
    way()
    transport = Recorder()
    relay = Relay(transport=transport)
    for _ in range(2):
        relay.drain()
        transport.work()
        make_due()
    assert sorted(seen, key=lambda call: call[:2]) == [
        ("async", 1, HEADERS),
        ("sync", 1, HEADERS),
        ("sync", 2, HEADERS),
    ]
