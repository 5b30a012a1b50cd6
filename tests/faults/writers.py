"""Subscribers that each leave an effect: two atomic ones, of which one fails first; one bare."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from eda_django import Event, Retry
from tests.relaying import on_happened
from tests.testapp.models import Effect

ATOMIC, BARE, FAILING = ("t.one", "t.failing"), "t.bare", "t.failing"


def subscribe(retry: Retry) -> None:
    for name in ATOMIC:
        on_happened(write_as(name), name=name, retry=retry)
    on_happened(write_as(BARE), name=BARE, retry=retry, atomic=False, timeout=60)


def effects() -> Counter[tuple[str, UUID]]:
    """Return how many effects each event has had, by the subscriber's name."""
    return Counter(Effect.objects.values_list("subscriber", "event_id"))


def write_as(name: str) -> Callable[[Event[Any]], None]:
    def write(event: Event[Any]) -> None:
        Effect.objects.create(subscriber=name, event_id=event.id, attempt=event.attempt)
        if name == FAILING and event.attempt == 1:
            raise RuntimeError("the first attempt fails")

    return write
