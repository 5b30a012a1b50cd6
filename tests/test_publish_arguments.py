"""What publish() and publish_many() are called with."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from eda_django import Event, InvalidEvent, event, publish, publish_many
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


@dataclass
class Undeclared:
    text: str = ""


class Model(BaseModel):
    text: str = ""


ENVELOPE = Event(
    data=Noted(),
    id=UUID(int=1),
    type="testapp.noted",
    version=1,
    source="tests",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="c",
)
UNDECLARED = (
    "Undeclared is not declared as an event: decorate it with "
    '@event("app.what_happened"), or publish a name and a dict.'
)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((Undeclared(),), UNDECLARED),
        ((Undeclared, {}), UNDECLARED),
        (
            (int, 5),
            "int is not declared as an event: decorate it with "
            '@event("app.what_happened"), or publish a name and a dict.',
        ),
        (
            (5,),
            "publish() takes an instance of a class decorated with @event, or a name and a dict, "
            "not 5 (int).",
        ),
        (
            (None,),
            "publish() takes an instance of a class decorated with @event, or a name and a dict, "
            "not None (NoneType).",
        ),
        (
            ({"text": "a"},),
            "publish() takes an instance of a class decorated with @event, or a name and a dict, "
            "not a dict.",
        ),
        (
            (ENVELOPE,),
            "publish() takes a payload, not the envelope of 'testapp.noted': pass event.data.",
        ),
        (("testapp.noted",), "Event 'testapp.noted' needs a payload: publish(name, payload)."),
        ((Noted,), "Event 'testapp.noted' needs a payload: publish(name, payload)."),
        (
            (Noted(), Noted()),
            "publish() got a payload of type Noted and a second payload: give the event's class "
            "or name first, then its payload.",
        ),
    ],
)
def test_what_names_no_event_is_refused(arguments: tuple[Any, ...], problem: str):
    with pytest.raises(InvalidEvent) as caught:
        publish(*arguments)
    assert str(caught.value) == problem


SHORTEN = "take a shorter one, such as a hash of it."


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (1.5, " must be a text, a whole number or a UUID, not 1.5 (float)."),
        (True, " must be a text, a whole number or a UUID, not True (bool)."),
        (b"a", " must be a text, a whole number or a UUID, not b'a' (bytes)."),
        (Noted("s3cret"), " must be a text, a whole number or a UUID, not a Noted."),
        ("a" * 256, f"={'a' * 40!r}… has 256 characters, and may have 255: {SHORTEN}"),
        (10**5000, f" is a number of thousands of digits, and may have 255: {SHORTEN}"),
        ("a\x00", "='a\\x00' holds a NUL character, which databases refuse: take it out."),
        ("a\ud800", "='a\\ud800' holds half of a surrogate pair, which is no text: take it out."),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("option", ["key", "correlation_id", "idempotency_key"])
def test_a_key_that_can_not_be_stored_is_refused(option: str, value: Any, problem: str):
    options: dict[str, Any] = {option: value}
    with pytest.raises(InvalidEvent) as caught:
        publish(Noted(), **options)
    assert str(caught.value) == option + problem


@pytest.mark.parametrize("option", ["key", "correlation_id", "idempotency_key"])
def test_an_empty_name_is_refused(option: str):
    options: dict[str, Any] = {option: ""}
    with pytest.raises(InvalidEvent) as caught:
        publish(Noted(), **options)
    assert str(caught.value) == f"{option}='' must not be empty; leave it out instead."


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ("a=1", "headers must be a dict of JSON values, not 'a=1' (str)."),
        ([("a", 1)], "headers must be a dict of JSON values, not a list."),
        ({1: 2}, "headers: the name 1 must be a text, as every name in JSON is."),
        (
            {"a": {"b": object()}},
            "headers: field 'a.b' holds an object, which JSON can't: use texts, numbers, lists "
            "and dicts.",
        ),
        (
            {"a": "\x00"},
            "headers: field 'a' holds a NUL character, which databases refuse: take it out; it "
            "is '\\x00' "
            "(str).",
        ),
        (
            {"a": "x" * 1_048_576},
            "headers: the JSON has 1048584 bytes, more than MAX_EVENT_BYTES (1048576). Store the "
            "large part elsewhere and publish its key.",
        ),
    ],
)
def test_headers_that_are_no_json_are_refused_by_name(headers: Any, problem: str):
    with pytest.raises(InvalidEvent) as caught:
        publish(Noted(), headers=headers)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        (Noted("a"), "a Noted"),
        (Model(), "a Model"),
        ({"text": "a"}, "a dict"),
        ("testapp.noted", "'testapp.noted' (str)"),
        (5, "5 (int)"),
        (None, "None (NoneType)"),
    ],
)
def test_publish_many_refuses_a_single_event(events: Any, shown: str):
    """A model and a dict can be iterated: their fields would be taken for events."""
    event("test.model")(Model)
    with pytest.raises(InvalidEvent) as caught:
        publish_many(events)
    assert str(caught.value) == (
        f"publish_many() takes a list of events, not {shown}; publish() takes one."
    )


def test_publish_many_refuses_a_key_that_is_no_function():
    key: Any = "7"
    with pytest.raises(InvalidEvent) as caught:
        publish_many([Noted()], key=key)
    assert str(caught.value) == (
        "publish_many() needs a function as key, which gets each payload and returns its key, "
        "not '7' (str)."
    )
