"""What a peer's site must be able to do."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

from django.db import models

from benchmarks.business.models import Effect
from benchmarks.processes import running

# A process of the site, as a context.
Process = Callable[[], AbstractContextManager[Any]]


def heard(number: int) -> None:
    """Do what every peer's subscriber does: one INSERT."""
    Effect.objects.create(number=number)


def command(*words: str, module: str = "django") -> Process:
    """Return a process that runs a management command, or another module's."""
    return lambda: running(*words, module=module)


class Site:
    """A peer's site; what the catalogue leaves blank need not be there."""

    # What takes events to the worker, if anything does.
    relays: tuple[Process, ...] = ()

    def worker(self) -> Process:
        raise NotImplementedError

    def empty(self) -> None:
        """Empty what is not in the database."""

    def publish(self, number: int) -> None:
        """Publish one event, in the caller's transaction."""
        raise NotImplementedError

    def publish_many(self, numbers: list[int]) -> None:
        raise NotImplementedError

    def left(self) -> int:
        """Return how many events or jobs wait for the relay or the worker."""
        raise NotImplementedError

    def backlog(self, count: int) -> None:
        """Leave so many events for the relay."""
        raise NotImplementedError

    def drain(self) -> None:
        """Run the relay in this process until nothing is left."""
        raise NotImplementedError

    def open(self) -> None:
        """Make ready what the worker takes events from."""

    def hand_over(self) -> None:
        """Bring everything published to where the worker takes it."""


def multiply(row: models.Model, count: int, *, fresh: Iterable[str]) -> None:
    """Add copies of a row until there are `count`, with new UUIDs in these fields."""
    kind: Any = type(row)
    values = {field.attname: getattr(row, field.attname) for field in kind._meta.concrete_fields}
    values.pop("id")
    copies = (kind(**values | {name: uuid4() for name in fresh}) for _ in range(count - 1))
    kind.objects.bulk_create(copies, batch_size=1_000)
