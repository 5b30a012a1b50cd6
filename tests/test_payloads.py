"""Payloads on their way through JSON: what round-trips, and what is refused in the caller."""

import enum
import json
import math
import subprocess
import sys
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from pydantic import (
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    RootModel,
    SecretStr,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from eda_django import InvalidEvent, InvalidEventType, payloads
from eda_django.events import EventType
from eda_django.exceptions import UndecodablePayload

T = TypeVar("T")
ID = UUID("0195f0c2-0000-7000-8000-000000000001")


class Colour(enum.Enum):
    RED = "r"
    DEEP = 2


class Level(enum.IntEnum):
    LOW = 1


class Size(NamedTuple):
    width: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    lines: list[Line]
    by_sku: dict[str, Line]
    first: Line | None = None


class Address(TypedDict):
    street: str
    since: NotRequired[date]


class Customer(BaseModel):
    model_config = ConfigDict(frozen=True)
    customer_id: int = Field(alias="customerId")
    address: Address | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return self.customer_id * 2


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return self.number * 2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int = 0


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


class Box(BaseModel, Generic[T]):
    content: T


@dataclass
class Doubled:
    number: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = self.number * 2


def declared(payload: type | None, *, version: int = 1) -> EventType:
    return EventType(name="test.x", version=version, payload=payload)


def one(annotation: Any) -> Any:
    """Return a dataclass with one field, x, of this type."""
    return make_dataclass("One", [("x", annotation)])


def there_and_back(payload: type | None, value: Any) -> Any:
    _, tree = payloads.encode(declared(payload), value)
    return payloads.decode(declared(payload), version=1, tree=json.loads(json.dumps(tree)))


def refusal(payload: type | None, value: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode(declared(payload), value)
    return str(caught.value).removeprefix("Event 'test.x': ")


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
    _, tree = payloads.encode(declared(made), made(value))
    assert tree == {"x": written}
    back = payloads.decode(declared(made), version=1, tree=json.loads(json.dumps(tree)))
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
    value, tree = payloads.encode(declared(Customer), {"customerId": "7"})
    assert value == Customer(customerId=7)
    assert tree == {"customerId": 7, "address": None}
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


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, "7", "field 'x' is declared as int and can't be written from '7' (str)."),
        (int, 7.5, "field 'x' is declared as int and can't be written from 7.5 (float)."),
        (str, 7, "field 'x' is declared as str and can't be written from 7 (int)."),
        (Decimal, 1.1, "field 'x' is declared as Decimal and can't be written from 1.1 (float)."),
        (Colour, "r", "field 'x' is declared as Colour and can't be written from 'r' (str)."),
        (
            int | None,
            "7",
            "field 'x' is declared as int | None and can't be written from '7' (str).",
        ),
        (
            list[int],
            (1, 2),
            "field 'x' is declared as list[int] and can't be written from a tuple.",
        ),
        (
            Any,
            object(),
            "field 'x' is declared as Any and can't be written from an object.",
        ),
        (
            int,
            "x" * 200,
            f"field 'x' is declared as int and can't be written from '{'x' * 96}... (str).",
        ),
        (
            bytes,
            b"\xff",
            "field 'x' holds b'\\xff' (bytes), and JSON has texts only: declare it as "
            "pydantic.Base64Bytes.",
        ),
        (
            Line,
            Line("a", 5),  # type: ignore[arg-type]
            "field 'x.price' is declared as Decimal and can't be written from 5 (int).",
        ),
        (
            list[Line],
            [Line("a", Decimal(1)), Line(5, Decimal(1))],  # type: ignore[arg-type]
            "field 'x.1.sku' is declared as str and can't be written from 5 (int).",
        ),
        (
            dict[str, Line],
            {"k": Line("a", "z")},  # type: ignore[arg-type]
            "field 'x.k.price' is declared as Decimal and can't be written from 'z' (str).",
        ),
        (float, math.nan, "field 'x' must be a finite number; it is nan (float)."),
        (float, -math.inf, "field 'x' must be a finite number; it is -inf (float)."),
        (
            int,
            2**64,
            "field 'x' has more than 64 bits, which not every database keeps: use a Decimal or a "
            "text; it is 18446744073709551616 (int).",
        ),
        pytest.param(
            int,
            10**5000,
            "field 'x' has more than 64 bits, which not every database keeps: use a Decimal or a "
            "text; it is an int whose repr() raises ValueError.",
            id="too long to show",
        ),
        (
            str,
            "a\x00",
            "field 'x' holds a NUL character, which databases refuse; it is 'a\\x00' (str).",
        ),
        (
            str,
            "a\ud800",
            "field 'x' holds half of a surrogate pair, which is no text; it is 'a\\ud800' (str).",
        ),
        (
            dict[str, int],
            {"a\x00": 1},
            "field 'x.a\\x00' holds a NUL character, which databases refuse; it is 'a\\x00' (str).",
        ),
        (
            dict[str, int],
            {"a\ud800": 1},
            "field 'x.a\\ud800' has a name that holds half of a surrogate pair, which is no text.",
        ),
        (
            dict[tuple[int, int], int],
            {(1, 2): 3},
            "field 'x.1,2.[key]': Input should be a valid array, not '1,2' (str). Its subscribers "
            "could not read what this class writes.",
        ),
        (
            Decimal,
            Decimal("NaN"),
            "field 'x': Input should be a finite number, not 'NaN' (str). Its subscribers could "
            "not read what this class writes.",
        ),
        (
            Literal["a"],
            "b",
            "field 'x': Input should be 'a', not 'b' (str). Its subscribers could not read what "
            "this class writes.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_field_value_and_reason(
    annotation: Any, value: Any, problem: str
):
    made = one(annotation)
    assert refusal(made, made(value)) == problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            {"a": {"b": [1, object()]}},
            "field 'a.b.1' holds an object, which JSON can't: use texts, numbers, lists and dicts.",
        ),
        (
            {"a": b"\xff"},
            "field 'a' holds b'\\xff' (bytes), and JSON has texts only: encode it, as base64 does.",
        ),
        ({"a": {"b": math.inf}}, "field 'a.b' must be a finite number; it is inf (float)."),
        (
            {"a": [{"b\x00": 1}]},
            "field 'a.0.b\\x00' holds a NUL character, which databases refuse; it is 'b\\x00' "
            "(str).",
        ),
        (
            {"a": {"\ud800": 1}},
            "field 'a.\\ud800' has a name that holds half of a surrogate pair, which is no text.",
        ),
        ({1: 2}, "the name 1 must be a text."),
        ({0: 1, "a": 2}, "the name 0 must be a text."),
        ({None: 1}, "the name None must be a text."),
    ],
)
def test_an_undeclared_payload_is_refused_by_field_value_and_reason(value: Any, problem: str):
    assert refusal(None, value) == problem


def nested(levels: int) -> dict[str, Any]:
    tree: Any = 1
    for _ in range(levels):
        tree = {"a": tree}
    return dict(tree)


def test_nesting_ends_where_some_database_would_refuse_it():
    payloads.encode(declared(None), nested(30))
    wide: dict[str, Any] = {"a": [[[]] for _ in range(100)]}
    payloads.encode(declared(None), wide)
    assert refusal(None, nested(31)) == (
        "field 'a' is nested more than 30 levels deep, which not every database takes."
    )


@pytest.mark.parametrize("levels", [300, 20_000])
def test_endless_nesting_is_refused_without_a_recursion_error(levels: int):
    problem = "is nested more than 30 levels deep, or holds itself."
    assert refusal(None, nested(levels)) == f"field 'a' {problem}"
    tree = Tree(0)
    for _ in range(levels):
        tree = Tree(1, [tree])
    assert refusal(Tree, tree) == f"field 'children' {problem}"


def test_a_payload_that_holds_itself_is_refused():
    tree = Tree(1)
    tree.children.append(tree)
    loop: dict[str, Any] = {}
    loop["me"] = loop
    problem = "is nested more than 30 levels deep, or holds itself."
    assert refusal(Tree, tree) == f"field 'children' {problem}"
    assert refusal(None, loop) == f"field 'me' {problem}"


@pytest.mark.parametrize(
    ("payload", "value", "problem"),
    [
        (
            Line,
            5,
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not int.",
        ),
        (
            Address,
            "Hill 5",
            "Event 'test.x' needs a payload of type Address or a dict of its fields, not str.",
        ),
        (
            Line,
            Tree(1),
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not Tree.",
        ),
        (
            Line,
            Line,
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not type.",
        ),
        (
            None,
            Line("a", Decimal(1)),
            "Event 'test.x' is declared without a class, so its payload must be a dict, not Line. "
            "Declare its class with @event('test.x').",
        ),
        (
            None,
            None,
            "Event 'test.x' is declared without a class, so its payload must be a dict, not "
            "NoneType. Declare its class with @event('test.x').",
        ),
    ],
)
def test_a_payload_of_another_type_is_refused(payload: Any, value: Any, problem: str):
    assert refusal(payload, value) == problem


@pytest.mark.parametrize(
    ("payload", "value", "problem"),
    [
        (
            Line,
            {"sku": "a", "prise": 1},
            "Line has no field 'prise', did you mean 'price'?",
        ),
        (
            Line,
            {"sku": "a", "price": 1, "colour": 2, "weight": 3},
            "Line has no field 'colour', 'weight'; it has price, sku.",
        ),
        (
            Customer,
            {"customer_id": 1},
            "Customer has no field 'customer_id', did you mean 'customerId'?",
        ),
        (Address, {"street": "a", "zip": 1}, "Address has no field 'zip'; it has since, street."),
        (Line, {"sku": "a"}, "field 'price': it is missing."),
        (Line, {}, "field 'sku': it is missing; field 'price': it is missing."),
        (
            Order,
            {"lines": [{"sku": "a", "price": "dear"}], "by_sku": {}},
            "field 'lines.0.price': Input should be a valid decimal, not 'dear' (str).",
        ),
        (
            Line,
            {"sku": ["a"], "price": 1},
            "field 'sku': Input should be a valid string, not a list.",
        ),
        (Strict, {"number": 1, "x": 2}, "field 'x': Extra inputs are not permitted, not 2 (int)."),
    ],
)
def test_a_dict_that_does_not_fit_is_refused_by_field(payload: Any, value: Any, problem: str):
    """A name that the class has not would be lost without an error."""
    assert refusal(payload, value) == problem


class Either(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    order_id: int = Field(alias="orderId")


@pytest.mark.parametrize("name", ["orderId", "order_id"])
def test_a_class_that_takes_names_and_aliases_gets_both(name: str):
    assert there_and_back(Either, {name: 7}) == Either(orderId=7)
    assert refusal(Either, {name: 7, "orderid": 8}) == (
        "Either has no field 'orderid', did you mean 'orderId'?"
    )


def test_a_class_that_takes_any_name_gets_any_name():
    assert there_and_back(Open, {"number": 1, "more": 2}) == Open.model_validate(
        {"number": 1, "more": 2}
    )


def test_names_inside_a_nested_class_are_its_own_affair():
    made = make_dataclass("Outer", [("x", Open), ("y", int, 0)])
    assert there_and_back(made, {"x": {"more": 2}}) == made(Open.model_validate({"more": 2}))


@dataclass(frozen=True, slots=True)
class SpecialLine(Line):
    gift: str = ""


class Renamed(SpecialLine):
    """Adds no field."""


class Cat(BaseModel):
    name: str


class Dog(BaseModel):
    name: str


class Ours(BaseModel):
    kind: Literal["ours"] = "ours"


class Theirs(BaseModel):
    kind: Literal["theirs"] = "theirs"


@pytest.mark.parametrize(
    ("payload", "value", "problem"),
    [
        (
            Line,
            SpecialLine("a", Decimal(1), gift="card"),
            "the payload holds the class SpecialLine, and subscribers would read it as Line: "
            "declare the class that is meant.",
        ),
        (
            Order,
            Order([], {}, first=SpecialLine("a", Decimal(1))),
            "field 'first' holds the class SpecialLine, and subscribers would read it as Line: "
            "declare the class that is meant.",
        ),
        (
            Order,
            Order([Line("a", Decimal(1)), SpecialLine("a", Decimal(1))], {}),
            "field 'lines.1' holds the class SpecialLine, and subscribers would read it as Line: "
            "declare the class that is meant.",
        ),
        (
            Order,
            Order([], {"a": SpecialLine("a", Decimal(1))}),
            "field 'by_sku.a' holds the class SpecialLine, and subscribers would read it as Line: "
            "declare the class that is meant.",
        ),
        (
            one(Cat | Dog),
            None,
            "field 'x' holds the class Dog, and subscribers would read it as Cat: declare the "
            "class that is meant.",
        ),
    ],
)
def test_a_class_that_would_come_back_as_another_is_refused(payload: Any, value: Any, problem: str):
    """Its additional fields would be lost, or the wrong class read, without an error."""
    value = payload(Dog(name="Rex")) if value is None else value
    assert refusal(payload, value) == problem


def test_a_union_that_says_which_class_it_holds_comes_back():
    made = one(Annotated[Ours | Theirs, Discriminator("kind")])
    assert there_and_back(made, made(Theirs())) == made(Theirs())


def test_a_subclass_without_fields_of_its_own_is_taken():
    assert there_and_back(SpecialLine, Renamed("a", Decimal(1))) == SpecialLine("a", Decimal(1))


def test_a_secret_is_refused_because_it_would_come_back_as_asterisks():
    made = one(SecretStr)
    assert refusal(made, made(SecretStr("hunter2"))) == (
        "field 'x' is a secret that pydantic writes as asterisks: declare a str, and REDACT it."
    )


class Apart(BaseModel):
    number: int = Field(validation_alias="read", serialization_alias="written")


def test_a_class_that_can_not_read_what_it_writes_is_refused():
    assert refusal(Apart, Apart.model_validate({"read": 1})) == (
        "field 'read': it is missing. Its subscribers could not read what this class writes."
    )


def test_an_unchecked_model_is_checked():
    assert refusal(Strict, Strict.model_construct(number="x")) == (
        "field 'number' is declared as int and can't be written from 'x' (str)."
    )


class Both(BaseModel):
    low: int
    high: int
    card: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> "Both":
        if self.low > self.high:
            raise ValueError(f"the low end is above the high, on card {self.card}")
        return self

    @field_validator("card")
    @classmethod
    def _no_spaces(cls, card: str) -> str:
        if " " in card:
            raise ValueError(f"{card} has spaces")
        return card


def test_what_the_class_itself_refuses_is_told_in_its_words():
    assert refusal(Both, {"low": 2, "high": 1}) == (
        "Value error, the low end is above the high, on card , not a dict."
    )


def test_the_size_is_measured_in_bytes():
    with override_settings(EDA_DJANGO={"MAX_EVENT_BYTES": 20}):
        payloads.encode(declared(None), {"a": "é" * 6})
        assert refusal(None, {"a": "é" * 7}) == (
            "the JSON has 22 bytes, more than MAX_EVENT_BYTES (20). Store the large part "
            "elsewhere and publish its key."
        )


@pytest.mark.parametrize("payload", [None, one(str)])
def test_a_payload_of_over_a_mebibyte_is_refused_by_default(payload: Any):
    value = {"x": "a" * (1_048_576 - len('{"x":""}'))}
    payloads.encode(declared(payload), value)
    assert refusal(payload, {"x": value["x"] + "a"}).startswith("the JSON has 1048577 bytes, more")


# REDACT


class Card(BaseModel):
    owner: str
    number: int


class Payment(BaseModel):
    card: Card
    total: Decimal
    token: str = ""


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (Payment, {"card": {"owner": "A", "number": "4111-1111"}, "total": 1}),
        (Payment, {"card": {"owner": "A", "number": 1}, "total": 1, "token": ["4111-1111"]}),
        (Payment, Payment.model_construct(card="4111-1111", total=1)),
        (Payment, Payment.model_construct(card=Card(owner="4111-1111", number=1), total="x")),
        (Payment, Payment.model_construct(total=Card(owner="4111-1111", number=1))),
        (Both, {"low": 2, "high": 1, "card": "4111-1111"}),
        (Both, {"low": 1, "high": 2, "card": "4111-1111 "}),
        (None, {"card": {"owner": "4111-1111", "number": object()}}),
        (None, {"token": "4111-1111\x00"}),
        (None, {"token": b"4111-1111\xff"}),
        (None, {"token": {"4111": math.nan}}),
    ],
)
def test_no_error_text_shows_the_value_of_a_redacted_field(payload: Any, value: Any):
    """G9: neither the text nor the traceback's chain of causes."""
    redacted = {"EDA_DJANGO": {"REDACT": ["card", "token"]}}
    with override_settings(**redacted), pytest.raises(InvalidEvent) as caught:
        payloads.encode(declared(payload), value)
    error: BaseException | None = caught.value
    while error is not None:
        assert "4111-1111" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_redacted_value_is_shown_as_its_type():
    with override_settings(EDA_DJANGO={"REDACT": {"number"}}):
        assert refusal(Card, {"owner": "A", "number": "x"}) == (
            "field 'number': Input should be a valid integer, unable to parse string as an "
            "integer, not *** (str)."
        )
        assert refusal(None, {"number": object()}) == (
            "field 'number' holds *** (object), which JSON can't: use texts, numbers, lists and "
            "dicts."
        )


def test_masking_reaches_every_level():
    tree = {"token": "a", "list": [{"token": {"deep": 1}}], "card": None, "id": 5}
    with override_settings(EDA_DJANGO={"REDACT": ["token", "card"]}):
        assert payloads.masked(tree) == {
            "token": "***",
            "list": [{"token": "***"}],
            "card": "***",
            "id": 5,
        }
        assert payloads.masked([1, "a"]) == [1, "a"]


def test_the_redacted_values_are_all_texts_below_a_redacted_name():
    tree = {"token": {"a": ["x", 12.5]}, "list": [{"token": "y"}], "flag": {"token": True}, "id": 5}
    with override_settings(EDA_DJANGO={"REDACT": ["token"]}):
        assert list(payloads.redacted_values(tree)) == ["x", "12.5", "y"]


def test_secrets_are_masked_the_longest_first_and_short_ones_not_at_all():
    text = payloads.without("4111-1111 of 4111 at 12:30", ["4111", "4111-1111", "12"])
    assert text == "*** of *** at 12:30"


# Reading


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


# Classes that pydantic can't read


class Odd:
    pass


@dataclass
class Unresolved:
    number: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


class UnresolvedModel(BaseModel):
    number: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (one(Odd), "Event class One: Unable to generate pydantic-core schema for"),
        (Unresolved, "Event class Unresolved: name 'Nowhere' is not defined"),
        (UnresolvedModel, "Event class UnresolvedModel: name 'Nowhere' is not defined"),
    ],
)
def test_a_class_that_pydantic_can_not_read_is_refused(payload: Any, reason: str):
    with pytest.raises(InvalidEventType) as caught:
        payloads.adapter(payload)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


@dataclass
class HoldsOdd:
    odd: Odd
    number: int = 0


class Lenient(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    part: HoldsOdd


def test_a_part_that_only_its_holder_can_write_is_named_as_a_whole():
    assert refusal(Lenient, Lenient.model_construct(part=HoldsOdd(Odd()))) == (
        "field 'part' is declared as HoldsOdd and can't be written from a HoldsOdd."
    )


def test_the_same_class_is_prepared_once():
    assert payloads.adapter(Line) is payloads.adapter(Line)


def test_headers_are_json_and_refused_by_name():
    assert payloads.encode_headers({"at": date(2026, 1, 2)}) == {"at": "2026-01-02"}
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode_headers({"trace": {"id": object()}})
    assert str(caught.value) == (
        "headers: field 'trace.id' holds an object, which JSON can't: use texts, numbers, lists "
        "and dicts."
    )


def test_pydantic_is_imported_by_the_first_payload_and_not_before():
    code = (
        "import sys; import eda_django; from eda_django import payloads;"
        "print([m for m in sys.modules if m.startswith('pydantic')])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_pydantics_own_error_never_reaches_the_caller():
    """It would show the values that are to be masked, and is not one of the library's errors."""
    assert not issubclass(InvalidEvent, ValidationError)
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode(declared(Line), {"sku": 5, "price": "x"})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
