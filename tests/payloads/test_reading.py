"""Reading stored payloads: as declared, of another version, and undecodable."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from eda_django import payloads
from eda_django.events import EventType
from eda_django.exceptions import UndecodablePayload
from tests.payloads.declaring import Line, Order, declared, one


def unreadable(known: EventType, tree: Any, *, version: int = 1) -> str:
    with pytest.raises(UndecodablePayload) as caught:
        payloads.decode(known, version=version, tree=tree)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("known", [None, declared(None)])
def test_a_type_without_a_class_is_read_as_it_is(known: EventType | None):
    assert payloads.decode(known, version=9, tree={"a": 1}) == {"a": 1}


def test_an_older_version_is_read_and_a_newer_one_left_to_newer_code():
    """G10"""
    known = declared(Line, version=2)
    tree = {"sku": "a", "price": "1.0", "added_by_newer_code": True}
    assert payloads.decode(known, version=1, tree=tree) == Line("a", Decimal("1.0"))
    assert payloads.decode(known, version=2, tree=tree) == Line("a", Decimal("1.0"))
    assert unreadable(known, tree, version=3) == (
        "no running code knows version 3 of 'test.x', this code knows version 2"
    )


@pytest.mark.parametrize(
    ("payload", "tree", "reason"),
    [
        (Line, {"sku": "a"}, "it does not fit Line at price"),
        (Line, {"sku": 7, "price": "s3cret"}, "it does not fit Line at price, sku"),
        (Line, ["s3cret"], "it does not fit Line at no field in particular"),
        (
            Order,
            {"lines": [{}], "by_sku": {}},
            "it does not fit Order at lines.0.price, lines.0.sku",
        ),
        (one("Nowhere"), {}, "One raised InvalidEventType"),
    ],
)
def test_what_can_not_be_read_names_the_fields_and_no_value(payload: Any, tree: Any, reason: str):
    """G9, G10"""
    text = unreadable(declared(payload), tree)
    assert text.startswith("no running code knows how to read this payload of 'test.x': ")
    assert "s3cret" not in text
    assert text.endswith(reason)


@dataclass
class Touchy:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise KeyError(f"s3cret {self.number}")


def test_a_class_that_raises_anything_when_read_is_undecodable():
    """G10: it must cost no attempt, and no other delivery of the chunk."""
    assert unreadable(declared(Touchy), {"number": -1}) == (
        "no running code knows how to read this payload of 'test.x': Touchy raised KeyError"
    )


def test_large_floats_are_read_from_databases_that_write_them_out():
    """PostgreSQL's jsonb gives 1e308 back as a whole number of 309 digits."""
    made = one(float)
    assert payloads.decode(declared(made), version=1, tree={"x": 10**308}) == made(1e308)
