"""Pydantic inside: classes that it can't read, when it is imported, and its errors."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eda_django import InvalidEvent, InvalidEventType, payloads
from tests.payloads.declaring import Line, declared, one, refusal


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
        # Python's `re` knows it, and pydantic's engine does not.
        (
            one(Annotated[str, Field(pattern="^(?!0)a")]),
            "Event class One: Field 'x': look-around, including look-ahead and look-behind, is not",
        ),
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
