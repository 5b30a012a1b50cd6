"""What comes back from JSON as it was."""

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    Base64Bytes,
    BaseModel,
    Field,
    Json,
    PlainSerializer,
    PlainValidator,
    RootModel,
    StringConstraints,
    field_serializer,
)

from eda_django import payloads
from tests.payloads.declaring import (
    Address,
    Colour,
    Customer,
    Line,
    Open,
    Order,
    Strict,
    Tree,
    declared,
    one,
    there_and_back,
)

T = TypeVar("T")
ID = UUID("0195f0c2-0000-7000-8000-000000000001")


class Level(enum.IntEnum):
    LOW = 1


class Size(NamedTuple):
    width: int
    price: Decimal


class Box(BaseModel, Generic[T]):
    content: T


@dataclass
class Doubled:
    number: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = self.number * 2


BERLIN = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (int, 2**63 - 1, 2**63 - 1),
        (int, -(2**63), -(2**63)),
        (float, 0.1 + 0.2, 0.30000000000000004),
        (float, 1e308, 1e308),
        (str, "naïve 🎁 \\u0000 \x01", "naïve 🎁 \\u0000 \x01"),
        (Decimal, Decimal("1.10"), "1.10"),
        (Decimal, Decimal("1E+5"), "1E+5"),
        (Decimal, Decimal("-0.000000001"), "-1E-9"),
        (Decimal, Decimal("1." + "1" * 60), "1." + "1" * 60),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (datetime, BERLIN, "2026-07-01T12:00:00+02:00"),
        (date, date(2026, 1, 2), "2026-01-02"),
        (time, time(1, 2, 3, 4), "01:02:03.000004"),
        (timedelta, timedelta(days=-1, microseconds=1), "-PT23H59M59.999999S"),
        (timedelta, timedelta.max, "P2739726Y9DT23H59M59.999999S"),
        (UUID, ID, str(ID)),
        (bytes, b"abc", "abc"),
        (Base64Bytes, b"\xff\x00", "/wA="),
        (Colour, Colour.DEEP, 2),
        (Level, Level.LOW, 1),
        (Literal["a", 1], 1, 1),
        (list[int], [1, 2], [1, 2]),
        (set[int], {1, 2}, [1, 2]),
        (frozenset[str], frozenset("a"), ["a"]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (tuple[Decimal, ...], (Decimal(1), Decimal(2)), ["1", "2"]),
        (Size, Size(1, Decimal("2.50")), [1, "2.50"]),
        (dict[int, str], {1: "a"}, {"1": "a"}),
        (dict[UUID, Decimal], {ID: Decimal("1.0")}, {str(ID): "1.0"}),
        (int | None, None, None),
        (int | str, "7", "7"),
        (str | UUID, ID, str(ID)),
    ],
)
def test_a_field_comes_back_as_it_was(annotation: Any, value: Any, written: Any):
    made = one(annotation)
    _, text = payloads.encode(declared(made), made(value))
    tree = json.loads(text)
    assert tree == {"x": written}
    back = payloads.decode(declared(made), version=1, tree=tree)
    assert back == made(value)
    assert type(back.x) is type(value)
    if isinstance(value, Decimal):
        assert str(back.x) == str(value)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (Order, Order([Line("a", Decimal("1.0"))], {"a": Line("a", Decimal("2.0"))})),
        (Customer, Customer(customerId=1, address={"street": "Hill", "since": date(2026, 1, 2)})),
        (Address, {"street": "Hill", "since": date(2026, 1, 2)}),
        (Strict, Strict(number=1)),
        (Open, Open.model_validate({"number": 1, "more": "text"})),
        (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
        (Box[Line], Box[Line](content=Line("a", Decimal("1.0")))),
        (RootModel[list[int]], RootModel[list[int]]([1, 2])),
        (Doubled, Doubled(2)),
        (make_dataclass("J", [("x", Json[list[int]])]), None),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nested_types_come_back_as_they_were(payload: Any, value: Any):
    value = payload([1, 2]) if value is None else value
    back = there_and_back(payload, value)
    assert back == value
    assert type(back) is type(value)


def test_a_dict_of_the_fields_becomes_the_declared_class():
    value, text = payloads.encode(declared(Customer), {"customerId": "7"})
    assert value == Customer(customerId=7)
    assert text == '{"customerId":7,"address":null}'
    line, _ = payloads.encode(declared(Line), {"sku": "a", "price": "1.50"})
    assert line == Line("a", Decimal("1.50"))


def test_a_dict_without_a_declared_class_comes_back_as_json_has_it():
    sent = {"at": datetime(2026, 1, 2), "price": Decimal("1.10"), "id": ID, "pair": (1, 2), "": {}}
    assert there_and_back(None, sent) == {
        "at": "2026-01-02T00:00:00",
        "price": "1.10",
        "id": str(ID),
        "pair": [1, 2],
        "": {},
    }


def test_a_field_that_declares_no_type_comes_back_as_json_has_it():
    made = make_dataclass("Loose", [("x", dict[str, Any])])
    assert there_and_back(made, made({"price": Decimal("1.10"), "pair": (1, 2)})).x == {
        "price": "1.10",
        "pair": [1, 2],
    }


# What comes back as another value, but as the same one each time


class Opaque:
    """A class of the site's own that can't be compared."""

    def __init__(self, text: str) -> None:
        self.text = text


class Hiding(BaseModel):
    note: str = Field(default="", exclude=True)
    number: str

    @field_serializer("number")
    def shortened(self, number: str) -> str:
        return number[-4:]


def in_berlin(moment: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(moment).replace(fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    "moment",
    [
        in_berlin("2025-10-26 02:30"),
        in_berlin("2025-10-26 02:30", fold=1),
        in_berlin("2025-03-30 02:30"),
    ],
    ids=["the first", "the second", "skipped"],
)
def test_times_of_a_night_in_which_clocks_are_changed_are_published(moment: datetime) -> None:
    """They are equal to no time of another zone, by PEP 495."""
    made = one(datetime)
    assert there_and_back(made, made(moment)).x.astimezone(UTC) == moment.astimezone(UTC)


@pytest.mark.parametrize("annotation", [Any, Iterable[int]])
@pytest.mark.parametrize("beside", [1, None, 10**18])
def test_an_iterator_is_written_whatever_stands_beside_it(
    annotation: Any, beside: int | None
) -> None:
    """It can be read once: a second look at it would find it empty."""
    made = make_dataclass("Made", [("x", annotation), ("beside", int | None)])
    read = there_and_back(made, made(iter([1, 2]), beside))
    assert (list(read.x), read.beside) == ([1, 2], beside)
    read = there_and_back(made, {"x": iter([1, 2]), "beside": beside})
    assert (list(read.x), read.beside) == ([1, 2], beside)


def test_what_a_class_leaves_out_on_purpose_may_be_left_out() -> None:
    read = there_and_back(Hiding, Hiding(note="mine", number="4111111111111111"))
    assert (read.note, read.number) == ("", "1111")


def test_what_is_read_in_another_spelling_may_be_published() -> None:
    made = one(Annotated[str, StringConstraints(to_lower=True)])
    assert there_and_back(made, made("Ann@X.com")).x == "ann@x.com"


def test_what_can_not_be_compared_may_be_published() -> None:
    made = one(
        Annotated[
            Opaque,
            PlainValidator(lambda found: Opaque(str(found))),
            PlainSerializer(lambda opaque: opaque.text),
        ]
    )
    assert there_and_back(made, made(Opaque("a"))).x.text == "a"
