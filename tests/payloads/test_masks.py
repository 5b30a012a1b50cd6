"""Masks with an address: a private value comes back where its mask is, or not at all."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from eda_django import payloads
from eda_django.payloads import Stray

ITEMS = {"items": [{"n": 1, "card": "AAAA"}, {"n": 2, "card": {"number": "BBBB"}}], "token": None}
A, B = "***/items/0/card", "***/items/1/card"


@pytest.fixture(autouse=True)
def redacting() -> Iterator[None]:
    with override_settings(EDA_DJANGO={"REDACT": ["card", "token"]}):
        yield


def strays(tree: Any, original: Any = ITEMS) -> list[Stray]:
    with pytest.raises(payloads.StrayMasks) as caught:
        payloads.unmasked(tree, original)
    return caught.value.strays


def test_each_mask_says_where_its_value_stands() -> None:
    assert payloads.addressed(ITEMS) == {
        "items": [{"n": 1, "card": A}, {"n": 2, "card": B}],
        "token": "***/token",
    }


def test_names_with_slashes_and_tildes_have_addresses_of_their_own() -> None:
    tree = {"a/b": {"card": "1"}, "a": {"b": {"card": "2"}}, "a~1b": {"card": "3"}}
    masked = payloads.addressed(tree)
    assert masked["a/b"] == {"card": "***/a~1b/card"}
    assert masked["a~1b"] == {"card": "***/a~01b/card"}
    assert payloads.unmasked(masked, tree) == tree


@pytest.mark.parametrize(
    ("edited", "published"),
    [
        (payloads.addressed, ITEMS),
        ({"items": [{"n": 2, "card": B}]}, {"items": [{"n": 2, "card": {"number": "BBBB"}}]}),
        (
            {"items": [{"card": B}, {"card": A}]},
            {"items": [{"card": {"number": "BBBB"}}, {"card": "AAAA"}]},
        ),
        ({"card": A, "token": "new"}, {"card": "AAAA", "token": "new"}),
        ({"token": [A, {"deep": "***/token"}]}, {"token": ["AAAA", {"deep": None}]}),
        ({"card": "", "token": 5, "n": None}, {"card": "", "token": 5, "n": None}),
    ],
    ids=["left alone", "first out", "swapped", "renamed", "gathered", "overwritten"],
)
def test_a_value_comes_back_where_its_mask_is(edited: Any, published: Any) -> None:
    tree = edited(ITEMS) if callable(edited) else edited
    assert payloads.unmasked(tree, ITEMS) == published


@pytest.mark.parametrize(
    "text",
    ["***", "***/items/2/card", "***/items", "***/items/0/n", f"{A} ", f"{A}/number", "a***"],
)
def test_a_mask_that_names_no_masked_value_is_refused(text: str) -> None:
    assert strays({"items": [{"card": A}, {"card": text}]}) == [
        Stray(field="items.1.card", is_open=False)
    ]
    assert strays({"token": {"a": [text]}}) == [Stray(field="token.a.0", is_open=False)]


@pytest.mark.parametrize("text", ["***", A, f"the card {A}", "***/items/7/card"])
def test_no_mask_may_stand_where_its_value_would_be_shown(text: str) -> None:
    assert strays({"items": [{"card": A, "memo": text}]}) == [
        Stray(field="items.0.memo", is_open=True)
    ]


def test_all_masks_that_can_not_come_back_are_named_at_once() -> None:
    with pytest.raises(payloads.StrayMasks, match="^pan, token$"):
        payloads.unmasked({"pan": A, "token": "***"}, ITEMS)


def test_a_text_that_only_looks_like_a_mask_stays_what_it_was() -> None:
    tree = {"texts": ["***", "***/x", 5], "memo": "*** sale ***", "card": "AAAA"}
    moved = {"memo": "***", "texts": ["*** sold ***", "***/x"], "card": "***/card"}
    assert payloads.unmasked(moved, tree) == {**moved, "card": "AAAA"}
    assert strays({"memo": "***/y"}, tree) == [Stray(field="memo", is_open=True)]


def test_a_text_that_could_be_either_is_refused() -> None:
    tree = {"memo": "***/card", "card": "AAAA"}
    assert strays({"memo": "***/card"}, tree) == [Stray(field="memo", is_open=True)]


def test_what_is_not_masked_any_more_is_not_shown() -> None:
    """A form may be older than REDACT."""
    with override_settings(EDA_DJANGO={"REDACT": ["token"]}):
        assert strays({"items": [{"card": A}]}) == [Stray(field="items.0.card", is_open=True)]
        assert strays({"token": A}) == [Stray(field="token", is_open=False)]
