"""Payload classes that several tests declare, and how they go to JSON and back."""

import enum
import json
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NotRequired

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from eda_django import InvalidEvent, payloads
from eda_django.events import EventType


class Colour(enum.Enum):
    RED = "r"
    DEEP = 2


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


def declared(payload: type | None, *, version: int = 1) -> EventType:
    return EventType(name="test.x", version=version, payload=payload)


def one(annotation: Any) -> Any:
    """Return a dataclass with one field, x, of this type."""
    return make_dataclass("One", [("x", annotation)])


def there_and_back(payload: type | None, value: Any) -> Any:
    _, text = payloads.encode(declared(payload), value)
    return payloads.decode(declared(payload), version=1, tree=json.loads(text))


def refusal(payload: type | None, value: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        payloads.encode(declared(payload), value)
    return str(caught.value).removeprefix("Event 'test.x': ")


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
