"""REDACT: what must not be shown stands in no error's text."""

import math
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from django.test import override_settings
from pydantic import BaseModel, ConfigDict, Field, field_validator

from eda_django import InvalidEvent, payloads
from eda_django.exceptions import UndecodablePayload
from tests.payloads.declaring import Both, declared, refusal


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
        (Payment, '{"total": 1, "token": "4111-1111"}'),
        (None, b'{"total": 1, "card": "4111-1111"}'),
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


def test_names_below_a_redacted_name_are_values_unless_they_may_name_a_field():
    """G9: a dict may have card numbers for names. "number" is in every traceback."""
    tree = {"cards": {"4111-1111": {"number": "4222"}, "a@b.example": None, "x" * 31: 1}}
    with override_settings(EDA_DJANGO={"REDACT": ["cards"]}):
        found = list(payloads.redacted_values([tree]))
    assert found == ["4111-1111", "4222", "a@b.example", "x" * 31, "1"]


class Cards(BaseModel):
    cards: dict[str, int]


def test_no_error_says_the_names_below_a_redacted_name():
    """G9: the path ends at what may be shown."""
    tree = {"cards": {"4111-1111": "no", "4222-2222": "no"}}
    with override_settings(EDA_DJANGO={"REDACT": ["cards"]}):
        with pytest.raises(UndecodablePayload) as caught:
            payloads.decode(declared(Cards), version=1, tree=tree)
        assert str(caught.value).endswith("it does not fit Cards at cards")
        assert refusal(Cards, {"cards": {"4111-1111": "no"}}).startswith("field 'cards': ")
        assert refusal(None, {"cards": {"4111-1111": object()}}).startswith("field 'cards' holds")
        assert refusal(None, {"cards": {"4111-1111": math.nan}}).startswith("field 'cards' must")


class Account(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def _strong(cls, value: str) -> str:
        raise ValueError(f"{value!r} is too weak")


def test_validator_may_quote_what_is_redacted_by_repr():
    """G9."""
    with override_settings(EDA_DJANGO={"REDACT": ["password"]}):
        said = refusal(Account, {"password": 'DOM\\al\'s\n"pwd"'})
    assert said == "field 'password': Value error, '***' is too weak, not *** (str)."


@pytest.mark.parametrize("value", [4111, 12.5, Decimal("12.50"), date(2026, 1, 2), b"a\xffb"])
def test_values_that_are_no_texts_are_masked_as_str_writes_them(value: object):
    with override_settings(EDA_DJANGO={"REDACT": ["token"]}):
        secrets = list(payloads.redacted_values({"token": [value, True, False, None]}))
    assert payloads.without(f"no {value}, True, False, None", secrets) == (
        "no ***, True, False, None"
    )


def test_secrets_are_masked_the_longest_first_and_short_ones_not_at_all():
    text = payloads.without("4111-1111 of 4111 at 12:30", ["4111", "4111-1111", "12"])
    assert text == "*** of *** at 12:30"


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    card_number: Annotated[str, Field(max_length=16)] = Field(alias="cardNumber")

    @field_validator("card_number")
    @classmethod
    def _no_spaces(cls, number: str) -> str:
        if " " in number:
            raise ValueError(f"{number} has spaces")
        return number


class Holder(BaseModel):
    cards: list[Aliased]


SECRET = "4111222233334444"


def spoilt() -> Aliased:
    card = Aliased(cardNumber=SECRET)
    card.card_number = int(SECRET)  # type: ignore[assignment]
    return card


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Aliased, spoilt()),
        (Aliased, {"card_number": f"{SECRET}-12"}),
        (Aliased, {"cardNumber": f"{SECRET}-12"}),
        (Aliased, {"card_number": "4111 2222"}),
        (Holder, {"cards": [{"card_number": f"{SECRET}-12"}]}),
        (Holder, Holder.model_construct(cards=[spoilt()])),
    ],
)
def test_a_field_of_two_names_is_masked_by_both(kind: type, value: Any) -> None:
    """G9: REDACT has the name in JSON; a payload may come by the one in the code."""
    with override_settings(EDA_DJANGO={"REDACT": ["cardNumber"]}):
        said = refusal(kind, value)
    assert "4111" not in said
    assert "cardNumber' " in said.replace("':", "' ")
