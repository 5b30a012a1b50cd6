"""Values that are refused in the caller: by field, value and reason, by depth and by size."""

import math
import time
import traceback
from collections import deque
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pytest
from django.test import override_settings
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    field_validator,
)

from eda_django import InvalidEvent, payloads
from eda_django.exceptions import SubscriberTimeout
from tests.payloads.declaring import (
    Colour,
    Line,
    Open,
    Tree,
    declared,
    one,
    refusal,
    there_and_back,
)


class Constants(BaseModel):
    """Writes what JSON has no word for as JavaScript does."""

    model_config = ConfigDict(ser_json_inf_nan="constants")
    x: float


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
        (list[float], [1.0, math.nan], "field 'x.1' must be a finite number; it is nan (float)."),
        (float | int, math.nan, "field 'x' must be a finite number; it is nan (float)."),
        (Any, math.nan, "field 'x' must be a finite number; it is nan (float)."),
        (
            dict[str, Any],
            {"a": math.inf},
            "field 'x.a' must be a finite number; it is inf (float).",
        ),
        (list, [0, -math.inf], "field 'x.1' must be a finite number; it is -inf (float)."),
        (Open, Open(a=math.inf), "field 'x.a' must be a finite number; it is inf (float)."),  # type: ignore[call-arg]
        (
            Constants,
            Constants(x=math.inf),
            "field 'x.x' must be a finite number; it is inf (float).",
        ),
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
            "field 'x' holds a NUL character, which databases refuse: take it out; it is "
            "'a\\x00' (str).",
        ),
        (
            str,
            "a\ud800",
            "field 'x' holds half of a surrogate pair, which is no text: take it out; it is "
            "'a\\ud800' (str).",
        ),
        (
            dict[str, int],
            {"a\x00": 1},
            "field 'x.a\\x00' holds a NUL character, which databases refuse: take it out; it is "
            "'a\\x00' (str).",
        ),
        (
            dict[str, int],
            {"a\ud800": 1},
            "field 'x.a\\ud800' has a name that holds half of a surrogate pair, which is no "
            "text: take it out.",
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
            Annotated[list[int], AfterValidator(lambda found: sorted(set(found)))],
            [1, 1],
            "field 'x' has 2 items, and subscribers would read 1: a validator changes it, so "
            "publish what that returns.",
        ),
        (
            Annotated[int, AfterValidator(lambda cents: cents * 100)],
            500,
            "field 'x' is another value each time that it is read: a validator changes it, so "
            "publish what that returns and have it leave that alone, or init=False has each "
            "reader make one.",
        ),
        (
            dict,
            {1: "a", "1": "b"},
            "field 'x' has 2 names, and subscribers would read 1: some differ in their type only, "
            "or what is declared has no place for them.",
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
            "field 'a.0.b\\x00' holds a NUL character, which databases refuse: take it out; it "
            "is 'b\\x00' "
            "(str).",
        ),
        (
            {"a": {"\ud800": 1}},
            "field 'a.\\ud800' has a name that holds half of a surrogate pair, which is no "
            "text: take it out.",
        ),
        ({1: 2}, "the name 1 must be a text, as every name in JSON is."),
        ({0: 1, "a": 2}, "the name 0 must be a text, as every name in JSON is."),
        ({None: 1}, "the name None must be a text, as every name in JSON is."),
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


def test_a_number_that_is_none_is_refused_also_where_null_would_do():
    """Pydantic writes it as null, and a field that no comparison looks at would not be missed."""
    made = make_dataclass("Made", [("x", float | None, field(default=None, compare=False))])
    assert refusal(made, made(math.nan)) == "field 'x' must be a finite number; it is nan (float)."
    assert there_and_back(made, made(None)).x is None


@dataclass
class Measured:
    x: float


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    length: Any = Field(alias="inMetres")


@pytest.mark.parametrize(
    ("annotation", "value", "field"),
    [
        (Any, {math.inf}, "x.0"),
        (Any, Measured(math.inf), "x.x"),
        (Any, [Named(inMetres=math.inf)], "x.0.length"),
        (deque[Any], deque([1, {"a": math.inf}]), "x.1.a"),
        (Any, RootModel[Any]({"a": math.inf}), "x.a"),
        (Any, RootModel[Any](math.inf), "x"),
        (Any, (None, {"a": [None, math.inf]}), "x.1.a.1"),
    ],
)
def test_a_number_that_is_none_is_found_wherever_no_type_is_declared(
    annotation: Any, value: Any, field: str
) -> None:
    made = one(annotation)
    problem = f"field '{field}' must be a finite number; it is inf (float)."
    assert refusal(made, made(value)) == problem


class Words(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")
    x: float
    y: int | None = None


@pytest.mark.parametrize("beside", [None, 1, 2**62])
def test_a_number_that_is_none_may_be_published_by_a_class_that_has_a_word_for_it(
    beside: int | None,
) -> None:
    """Whatever stands beside it: a null there, or a long number, has the JSON looked at closely."""
    assert there_and_back(Words, Words(x=-math.inf, y=beside)) == Words(x=-math.inf, y=beside)


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


def test_headers_are_json_and_refused_by_name():
    assert payloads.encode_headers({"at": date(2026, 1, 2)}) == {"at": "2026-01-02"}
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode_headers({"trace": {"id": object()}})
    assert str(caught.value) == (
        "headers: field 'trace.id' holds an object, which JSON can't: use texts, numbers, lists "
        "and dicts."
    )


# What would be read as another value


@dataclass
class Charged:
    reference: UUID = field(default_factory=uuid4, init=False)


@pytest.mark.parametrize(
    ("payload", "field"),
    [(Charged(), "reference"), (one(list[Charged])([Charged()] * 2), "x.0.reference")],
)
def test_a_field_that_each_reader_would_make_anew_is_refused(payload: Any, field: str) -> None:
    """Or an effect that is known by it would happen twice."""
    assert refusal(type(payload), payload).startswith(
        f"field '{field}' is another value where it is read: init=False "
    )


@dataclass
class Paid:
    status: str = field(default="new", init=False)


@dataclass
class Stamped:
    number: int | None
    made_at: float = field(default_factory=time.perf_counter, init=False, compare=False)


@pytest.mark.parametrize("number", [1, None])
def test_a_field_that_no_comparison_looks_at_may_be_made_anew(number: int | None) -> None:
    """Whatever stands beside it."""
    assert there_and_back(Stamped, Stamped(number)) == Stamped(number)


@dataclass
class Remarked:
    number: Any
    remark: str = field(default="", init=False, compare=False)


def test_a_field_that_no_comparison_looks_at_may_be_set_beside_what_is_looked_at() -> None:
    payload = Remarked(Decimal("1.5"))
    payload.remark = "mine"
    read = there_and_back(Remarked, payload)
    assert (read.number, read.remark) == ("1.5", "")


def test_a_field_that_no_reader_gets_as_it_was_set_is_refused() -> None:
    """The console would show it as it was set, and the subscriber act on the default."""
    payload = Paid()
    assert there_and_back(Paid, payload) == payload
    payload.status = "paid"
    assert refusal(Paid, payload).startswith("field 'status' is another value where it is read: ")


# Classes that check themselves in their own way


@dataclass
class Card:
    number: str

    def __post_init__(self) -> None:
        if self.number.startswith("1234"):
            raise LookupError(self.number)


class Number(BaseModel):
    number: str

    @field_validator("number")
    @classmethod
    def check(cls, number: str) -> str:
        raise LookupError(number)


@pytest.mark.parametrize("kind", [Card, Number])
def test_a_class_that_raises_what_it_likes_is_named_without_the_value(kind: type) -> None:
    number = "1234" + "567"
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode(declared(kind), {"number": number})
    assert f"{kind.__name__} raised LookupError when it was read." in str(caught.value)
    assert number not in "".join(traceback.format_exception(caught.value))


def test_what_the_library_raises_itself_is_no_matter_of_the_payload() -> None:
    """The end of a subscriber's time, for example, that comes while it publishes."""

    def end(number: str) -> str:
        raise SubscriberTimeout("it took too long")

    made = one(Annotated[str, AfterValidator(end)])
    with pytest.raises(SubscriberTimeout):
        payloads.encode(declared(made), {"x": "1"})


def test_end_of_a_subscribers_time_is_heard_also_when_a_payload_is_read_again() -> None:
    """The alarm comes once: whoever passes over it leaves the subscriber no end."""
    read: list[str] = []

    def lower(text: str) -> str:
        read.append(text)
        if len(read) > 1:
            raise SubscriberTimeout("it took too long")
        return text.lower()

    made = one(Annotated[str, AfterValidator(lower)])
    with pytest.raises(SubscriberTimeout):
        payloads.encode(declared(made), made("A"))
