"""Type checkers see through the decorators."""

from pathlib import Path

import pytest
from mypy import api as mypy

SNIPPET = """
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID
from eda_django import Event, event, publish, publish_many, publishes, subscribes

@event("orders.order_placed")
@dataclass(frozen=True)
class OrderPlaced:
    order_id: int

@event("orders.order_paid")
class OrderPaid(TypedDict):
    order_id: int

@publishes(OrderPlaced, key=lambda order: order.order_id)
def place(number: str, *, rush: bool = False) -> OrderPlaced:
    return OrderPlaced(1)

def as_id(order: OrderPlaced) -> UUID:
    return UUID(int=order.order_id)

@publishes(OrderPlaced, key=as_id, idempotency_key=as_id)
def place_once() -> OrderPlaced:
    return OrderPlaced(1)

@subscribes(OrderPlaced, timeout=30)
def reserve(event: Event[OrderPlaced]) -> None:
    reveal_type(event.data.order_id)

reveal_type(place)
reveal_type(reserve)
reveal_type(OrderPlaced(1))
paid: OrderPaid = {"order_id": 1}
publish(paid)
publish_many([OrderPlaced(1)], key=lambda placed: placed.order_id)
place(1)
place("a", hurry=True)
"""


@pytest.mark.thorough
def test_type_checkers_see_through_the_decorators(tmp_path: Path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    told, problems, _ = mypy.run([*options, "--no-error-summary", str(snippet)])
    assert problems == ""
    lines = [line.split(": ", 1)[1] for line in told.splitlines()]
    assert lines == [
        'note: Revealed type is "int"',
        'note: Revealed type is "def (number: str, *, rush: bool =) -> snippet.OrderPlaced"',
        'note: Revealed type is "def (event: eda_django.events.Event[snippet.OrderPlaced])"',
        'note: Revealed type is "snippet.OrderPlaced"',
        'error: Argument 1 to "place" has incompatible type "int"; expected "str"  [arg-type]',
        'error: Unexpected keyword argument "hurry" for "place"  [call-arg]',
    ]
