"""What @subscribes refuses at import."""

import functools
import inspect
from typing import Any

import pytest

from eda_django import (
    Event,
    InvalidSubscriber,
    subscribes,
)
from eda_django.registry import registry
from tests.decorators.functions import GENERATOR, SomeClass, Undeclared, async_generator, generator
from tests.testapp.events import Noted


def test_a_second_subscribes_on_one_function_is_refused():
    """It would replace the first, whose events would then reach nobody."""

    @subscribes("test.first")
    def note(event: Event[Any]) -> None: ...

    with pytest.raises(InvalidSubscriber) as caught:
        subscribes("test.second")(note)
    assert str(caught.value) == (
        f"Subscriber 'tests.decorators.test_subscribes_refusals.{note.__qualname__}' is subscribed "
        f"twice: name all of its events in one @subscribes, or give the second a name of its own."
    )
    assert len(registry.matching("test.first")) == 1


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (generator, f"can't decorate the generator function 'generator': {GENERATOR}"),
        (async_generator, f"can't decorate the generator function 'async_generator': {GENERATOR}"),
        (SomeClass, f"must stand on a function, not on {SomeClass!r}."),
        (
            SomeClass(),
            "must stand on a function, not on <tests.decorators.functions.SomeClass object",
        ),
        (functools.partial(print), "must stand on a function, not on functools.partial(<built-in"),
        (classmethod(print), "must stand below @classmethod, not above it."),
        (staticmethod(print), "must stand below @staticmethod, not above it."),
        (5, "must stand on a function, not on 5."),
    ],
)
def test_subscribes_refuses_what_a_worker_could_not_call(function: Any, problem: str):
    with pytest.raises(InvalidSubscriber) as caught:
        subscribes(Noted, name="test.wrong")(function)
    assert str(caught.value).startswith(f"@subscribes {problem}")
    assert registry.get("test.wrong") is None


def no_argument() -> None: ...


def two_arguments(event: Event[Any], more: int) -> None: ...


def keyword_only(*, event: Event[Any]) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (no_argument, "too many positional arguments"),
        (two_arguments, "missing a required argument: 'more'"),
        (keyword_only, "too many positional arguments"),
    ],
)
def test_a_subscriber_takes_one_argument(function: Any, reason: str):
    with pytest.raises(InvalidSubscriber) as caught:
        subscribes(Noted, name="test.wrong")(function)
    assert str(caught.value) == (
        f"Subscriber 'test.wrong' must take one argument, the event: {reason}."
    )


@pytest.mark.parametrize("function", [print, lambda *events: None, lambda event, more=1: None])
def test_whatever_can_take_one_argument_is_taken(function: Any):
    assert subscribes("test.any", name="test.any")(function) is function


def test_a_function_without_a_signature_is_taken_at_its_word():
    with pytest.raises(ValueError, match="no signature found"):
        inspect.signature(min)
    assert subscribes("test.any", name="test.opaque")(min) is min


NEEDS = (
    "@subscribes needs the events it is for: @subscribes(OrderPlaced) or @subscribes('orders.*')."
)


def test_subscribes_needs_events():
    """Bare of arguments it would put another function in the place of the subscriber."""
    bare: Any = subscribes
    for call in (lambda: bare(), lambda: bare(lambda event: None), lambda: bare(generator)):
        with pytest.raises(InvalidSubscriber) as caught:
            call()
        assert str(caught.value) == NEEDS


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (("bad name",), "Subscriber 'test.wrong' names the event 'bad name': an event's name has"),
        (("",), "Subscriber 'test.wrong' names the event '': an event's name has letters"),
        (("orders.*", "a" * 256), f"Subscriber 'test.wrong' names the event {'a' * 80!r}: an"),
        (("orders*\x00",), "Subscriber 'test.wrong' names the event 'orders*\\x00': an event's"),
        (
            (Undeclared,),
            f"Subscriber 'test.wrong': {Undeclared!r} is not declared as an event. Decorate the "
            f'class with @event("app.what_happened"), or subscribe to a name.',
        ),
        ((Noted, 5), "Subscriber 'test.wrong': 5 is not declared as an event. Decorate the class"),
    ],
)
def test_subscribes_must_name_events(events: tuple[Any, ...], problem: str):
    with pytest.raises(InvalidSubscriber) as caught:
        subscribes(*events, name="test.wrong")(print)
    assert str(caught.value).startswith(problem)
    assert registry.get("test.wrong") is None


WRONG = "Subscriber 'test.wrong': "
SECONDS = "must be a number of seconds above 0 and below 10,000,000."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": ""}, "@subscribes(name='') must be a text of 1 to 255 characters."),
        ({"name": 5}, "@subscribes(name=5) must be a text of 1 to 255 characters."),
        (
            {"name": "a" * 256},
            f"@subscribes(name='{'a' * 99}) must be a text of 1 to 255 characters.",
        ),
        (
            {"name": "a\x00"},
            "@subscribes(name='a\\x00') holds a NUL character, which databases refuse: take it "
            "out.",
        ),
        ({"queue": ""}, f"{WRONG}queue='' must be the name of a queue in RQ_QUEUES."),
        ({"queue": 5}, f"{WRONG}queue=5 must be the name of a queue in RQ_QUEUES."),
        (
            {"retry": 5},
            f"{WRONG}retry=5 must be an eda_django.Retry, such as Retry(max_attempts=8).",
        ),
        ({"timeout": 0}, f"{WRONG}timeout=0 {SECONDS}"),
        ({"timeout": True}, f"{WRONG}timeout=True {SECONDS}"),
        ({"timeout": "5"}, f"{WRONG}timeout='5' {SECONDS}"),
        ({"timeout": float("inf")}, f"{WRONG}timeout=inf {SECONDS}"),
        ({"timeout": 10_000_000}, f"{WRONG}timeout=10000000 {SECONDS}"),
        ({"atomic": 1}, f"{WRONG}atomic=1 must be True or False."),
        ({"atomic": None}, f"{WRONG}atomic=None must be True or False."),
    ],
)
def test_a_wrong_option_is_refused_at_import(options: dict[str, Any], problem: str):
    with pytest.raises(InvalidSubscriber) as caught:
        subscribes(Noted, **{"name": "test.wrong", **options})(print)
    assert str(caught.value) == problem
    assert registry.get("test.wrong") is None


@pytest.mark.parametrize("option", ["ordered", "batch"])
def test_options_that_do_nothing_do_not_exist(option: str):
    options: dict[str, Any] = {option: True}
    with pytest.raises(TypeError, match=option):
        subscribes(Noted, **options)
