"""Who knows a claim changes nothing that is not under it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from eda_django.models import Delivery

# All columns of a delivery.
Row = dict[str, Any]


def deliveries() -> list[Row]:
    rows: Any = Delivery.objects.values()
    return list(rows)


def changed_since(before: Iterable[Row]) -> list[Row]:
    """Return those rows, as they were, that are not the same any more."""
    now = {row["id"]: row for row in deliveries()}
    return [row for row in before if now[row["id"]] != row]


@contextmanager
def only_under(token: UUID) -> Iterator[None]:
    before = deliveries()
    yield
    assert {row["token"] for row in changed_since(before)} <= {token}
