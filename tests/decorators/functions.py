"""Functions that the decorators are put on, rightly or wrongly, by several tests."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from eda_django import Event


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class SomeClass:
    def __call__(self, event: Event[Any]) -> None: ...


GENERATOR = "calling it runs nothing. Return a list instead of yielding."


class Undeclared:
    pass
