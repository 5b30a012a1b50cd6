"""Fields of several types: what comes back as it was, and what is refused because it would not."""

import enum
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from eda_django import payloads
from eda_django.payloads.trees import dumps
from eda_django.payloads.unions import has_unions, union_members
from tests.payloads.declaring import (
    Colour,
    Customer,
    Line,
    Order,
    Tree,
    declared,
    one,
    refusal,
    there_and_back,
)

ID = UUID("0195f0c2-0000-7000-8000-000000000001")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PRICE = Decimal("1.10")
WRITTEN_AS_TEXTS = [PRICE, NOW, NOW.date(), time(1, 2), timedelta(seconds=5), b"ab"]


class Shade(enum.StrEnum):
    DARK = "d"


class Level(enum.IntEnum):
    LOW = 1


class Size(NamedTuple):
    width: int
    price: str | Decimal


class Priced(TypedDict):
    price: str | Decimal


class Offer(BaseModel):
    price: str | Decimal | None = None
    notes: dict[str, Any] = Field(default_factory=dict)


Amount = TypeAliasType("Amount", str | Decimal)


def problem(kind: str, other: str, way_out: str = "", *, at: str = "x") -> str:
    return (
        f"field {at!r} holds a value of type {kind}, and subscribers would read it as {other}, "
        f"because its union has both: declare one of the two{way_out}."
    )


@pytest.mark.parametrize("value", WRITTEN_AS_TEXTS, ids=lambda value: type(value).__name__)
def test_a_text_that_stands_first_takes_what_is_written_as_text(value: Any):
    """The text says what to do, and that it helps."""
    kind = type(value)
    assert refusal(one(str | kind), {"x": value}) == problem(
        kind.__name__, "str", ", or put str last"
    )
    made = one(kind | str)
    back = there_and_back(made, made(value)).x
    assert (type(back), back) == (kind, value)


@pytest.mark.parametrize(
    ("annotation", "value", "kind", "other"),
    [
        (Colour | str, Colour.RED, "Colour", "str"),
        (str | Colour | None, Colour.RED, "Colour", "str"),
        (int | Colour, Colour.DEEP, "Colour", "int"),
        (Shade | str, Shade.DARK, "Shade", "str"),
        (str | Shade, Shade.DARK, "Shade", "str"),
        (Level | int, Level.LOW, "Level", "int"),
        (list[int] | tuple[int, ...], (1, 2), "tuple", "list"),
        (tuple[int, ...] | list[int], (1, 2), "tuple", "list"),
        (set[int] | list[int], {1, 2}, "set", "list"),
        (list[int] | frozenset[int], frozenset({1}), "frozenset", "list"),
        (Literal[Colour.RED] | str, Colour.RED, "Colour", "str"),
    ],
)
def test_no_order_helps_where_json_has_one_form_for_both(
    annotation: Any, value: Any, kind: str, other: str
):
    made = one(annotation)
    assert refusal(made, made(value)) == problem(kind, other)


@pytest.mark.parametrize(
    ("annotation", "value", "at"),
    [
        (list[str | Decimal], ["a", PRICE], "x.1"),
        (dict[str, str | Decimal], {"a": PRICE}, "x.a"),
        (tuple[int, str | Decimal], (1, PRICE), "x.1"),
        (set[str | Decimal], {"a", PRICE}, "x"),
        (Annotated[str | Decimal, "a remark"] | None, PRICE, "x"),
        (Amount, PRICE, "x"),
        (list[Amount], [PRICE], "x.0"),
        (Size, Size(1, PRICE), "x.1"),
        (Priced, {"price": PRICE}, "x.price"),
        (list[Offer], [Offer(), Offer(price=PRICE)], "x.1.price"),
        (dict[str, Offer] | None, {"a": Offer(price=PRICE)}, "x.a.price"),
    ],
)
def test_a_union_is_found_wherever_it_stands(annotation: Any, value: Any, at: str):
    made = one(annotation)
    assert refusal(made, made(value)) == problem("Decimal", "str", ", or put str last", at=at)


def test_a_union_is_found_in_every_kind_of_class():
    expected = problem("Decimal", "str", ", or put str last", at="price")
    assert refusal(Priced, {"price": PRICE}) == expected
    assert refusal(Offer, {"price": PRICE}) == expected
    assert refusal(Offer, Offer(price=PRICE)) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str | UUID, ID),
        (float | Decimal, Decimal("5.5")),
        (Decimal | float, 5.5),
        (int | Decimal, Decimal(5)),
        (int | float, 5.0),
        (int | bool, True),
        (date | datetime, NOW),
        (datetime | date, NOW.date()),
        (timedelta | float, timedelta(seconds=5)),
        (Colour | int, Colour.RED),
        (Level | str, Level.LOW),
        (list[int] | tuple[int, ...], [1, 2]),
        (str | Decimal, "1.10"),
        (set[Decimal | str], {PRICE, "a"}),
        (dict[str, Decimal | str], {"a": PRICE, "b": "b"}),
        (AnyUrl | int, AnyUrl("https://example.com/")),
        (Literal[Level.LOW] | int, Level.LOW),
        (list[str] | Size, Size(1, "2")),
        (Line | Decimal, Line("a", PRICE)),
    ],
)
def test_a_union_that_json_can_tell_apart_comes_back(annotation: Any, value: Any):
    made = one(annotation)
    back = there_and_back(made, made(value)).x
    assert (type(back), back) == (type(value), value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (UUID | str, str(ID)),
        (Decimal | str, "1.10"),
        (datetime | str, "2026-01-02T03:04:05Z"),
        (datetime | str, "soon"),
        (list[Decimal | str], ["1.10"]),
    ],
)
def test_a_text_that_is_how_another_type_is_written_is_taken(annotation: Any, text: Any):
    """Else no operator could edit and resend what was a Decimal: JSON has the text only."""
    made = one(annotation)
    _, written = payloads.encode(declared(made), {"x": text})
    assert written == dumps({"x": text})
    there_and_back(made, there_and_back(made, made(text)))


@pytest.mark.parametrize(
    ("kind", "text"), [(UUID, str(ID).upper()), (Decimal, "007"), (datetime, "1.10")]
)
def test_a_text_that_would_come_back_written_otherwise_is_refused(kind: type, text: str):
    """A house number of "1.10" is no time in 1970."""
    made = one(kind | str)
    assert refusal(made, made(text)) == problem("str", kind.__name__)


class Nested:
    """Stands for what the statement `type Nested = …` makes, which Python 3.11 has not."""

    __value__: Any


def test_an_alias_may_hold_itself():
    Nested.__value__ = str | Decimal | list[Nested]
    assert union_members(one(dict[str, Nested])) == {"x": {str, Decimal, list}}


def test_a_field_that_also_takes_anything_is_not_looked_into():
    made = one(Decimal | dict[str, Any] | str)
    assert there_and_back(made, made({"a": PRICE})).x == {"a": "1.10"}
    assert there_and_back(Offer, Offer(notes={"a": PRICE})).notes == {"a": "1.10"}


@dataclass
class Branch:
    offer: Offer | None = None
    children: list["Branch"] = field(default_factory=list)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        *[(payload, False) for payload in (Line, Order, Customer, Tree, one(int | str | None))],
        *[(payload, False) for payload in (one(Colour | None), one(dict[str, Any]))],
        (make_dataclass("Local", [("x", "Nowhere")]), False),
        *[(payload, True) for payload in (Offer, Priced, Branch, one(list[str | Decimal]))],
    ],
)
def test_only_classes_with_unions_are_compared_by_type(payload: type, expected: bool):
    assert has_unions(payload) is expected
