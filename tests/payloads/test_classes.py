"""Payloads must be of the declared class, and the class must read what it writes."""

from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Field, SecretStr

from tests.payloads.declaring import (
    Address,
    Both,
    Customer,
    Line,
    Open,
    Order,
    Strict,
    Tree,
    one,
    refusal,
    there_and_back,
)


@pytest.mark.parametrize(
    ("payload", "value", "problem"),
    [
        (
            Line,
            5,
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not 5 (int).",
        ),
        (
            Address,
            "Hill 5",
            "Event 'test.x' needs a payload of type Address or a dict of its fields, not 'Hill 5' "
            "(str).",
        ),
        (
            Line,
            Tree(1),
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not a Tree.",
        ),
        (
            Line,
            Line,
            "Event 'test.x' needs a payload of type Line or a dict of its fields, not a type.",
        ),
        (
            None,
            Line("a", Decimal(1)),
            "Event 'test.x' has no declared class, so its payload must be a dict, not a Line. Look "
            "at the name, or declare its class with @event('test.x').",
        ),
        (
            None,
            None,
            "Event 'test.x' has no declared class, so its payload must be a dict, not None "
            "(NoneType). Look at the name, or declare its class with @event('test.x').",
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


def test_what_the_class_itself_refuses_is_told_in_its_words():
    assert refusal(Both, {"low": 2, "high": 1}) == (
        "Value error, the low end is above the high, on card , not a dict."
    )
