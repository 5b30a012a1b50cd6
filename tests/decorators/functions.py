"""What several tests share: functions to decorate, rightly or wrongly, and what was published."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from eda_django import Event
from eda_django.models import OutboxEvent


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class SomeClass:
    def __call__(self, event: Event[Any]) -> None: ...


GENERATOR = "calling it runs nothing. Return a list instead of yielding."


class Undeclared:
    pass


def rows() -> list[tuple[str, Any]]:
    return list(OutboxEvent.objects.order_by("id").values_list("type", "data"))


def noted(*texts: str) -> list[tuple[str, Any]]:
    return [("testapp.noted", {"text": text, "behave": ""}) for text in texts]
