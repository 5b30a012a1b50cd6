"""Who subscribes to what."""

from collections.abc import Callable
from dataclasses import replace
from types import FunctionType
from typing import Any

import pytest

from eda_django import Retry
from eda_django.events import EventType, EventTypes
from eda_django.registry import Registry, Subscription, is_pattern, pattern_matches


@pytest.fixture
def event_types() -> EventTypes:
    return EventTypes()


@pytest.fixture
def known(event_types: EventTypes) -> Registry:
    return Registry(event_types)


def subscription(
    name: str, *patterns: str, subscriber: Callable[[Any], Any] = print, **options: Any
) -> Any:
    return Subscription(name=name, subscriber=subscriber, patterns=patterns, **options)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("orders.placed", ["orders.placed"], ["orders.placed2", "xorders.placed", "ordersXplaced"]),
        ("orders.*", ["orders.placed", "orders.line.added", "orders."], ["orders", "my.orders.x"]),
        ("*.placed", ["orders.placed", "a.b.placed"], ["placed", "orders.placed.x"]),
        ("*", ["orders.placed", "x"], []),
        ("a*b*c", ["abc", "a.b.c", "axxbyyc"], ["ab", "acb"]),
        ("a+.b", ["a+.b"], ["aa.b"]),
    ],
)
def test_a_star_stands_for_any_text_and_all_else_for_itself(
    pattern: str, matching: list[str], others: list[str]
):
    assert [name for name in matching + others if pattern_matches(pattern, name)] == matching
    assert is_pattern(pattern) is ("*" in pattern)


def test_matching_finds_every_subscription_and_each_once(known: Registry):
    known.add(subscription("exact", "orders.placed", "orders.*"))
    known.add(subscription("all", "*"))
    known.add(subscription("other", "payments.*"))
    for _ in range(2):
        assert [s.name for s in known.matching("orders.placed")] == ["exact", "all"]
    assert [s.name for s in known.matching("x")] == ["all"]


def test_matching_follows_what_is_added_and_removed(known: Registry):
    known.add(subscription("first", "x"))
    assert [s.name for s in known.matching("x")] == ["first"]
    known.add(subscription("second", "x"))
    assert [s.name for s in known.matching("x")] == ["first", "second"]
    known.remove("first")
    known.remove("never there")
    assert [s.name for s in known.matching("x")] == ["second"]


def test_names_are_known_as_long_as_they_are_registered(known: Registry):
    known.add(subscription("a", "x"))
    assert known.names() == ["a"]
    found = known.get("a")
    assert found is not None
    assert (found.retry, found.atomic, found.queue) == (Retry(), True, None)
    known.remove("a")
    assert (known.names(), known.get("a")) == ([], None)


def test_a_pattern_alone_is_no_knowledge_of_a_type(known: Registry, event_types: EventTypes):
    """G10: old code would route the event past a subscriber that only newer code has."""
    known.add(subscription("all", "*", "orders.*"))
    known.add(subscription("exact", "payments.paid"))
    assert [known.knows_type(t) for t in ("orders.placed", "payments.paid")] == [False, True]
    event_types.declare(EventType(name="orders.placed"))
    assert known.knows_type("orders.placed")


def test_type_names_are_those_declared_and_those_subscribed_to_exactly(
    known: Registry, event_types: EventTypes
):
    event_types.declare(EventType(name="declared"))
    known.add(subscription("a", "exact", "orders.*"))
    assert known.type_names() == {"declared", "exact"}


def test_two_functions_of_one_name_clash_and_the_first_stays(known: Registry):
    known.add(subscription("same", "x", subscriber=print))
    known.add(subscription("same", "y", subscriber=len))
    [(first, second)] = known.clashes
    assert (first.subscriber, second.subscriber) == (print, len)
    assert known.matching("y") == ()
    assert (first.place, second.place) == ("builtins.print", "builtins.len")


def test_two_functions_written_under_one_name_clash(known: Registry):
    """The second definition would silently take the events of the first."""

    def on_event(event: Any) -> None: ...

    first = on_event

    def on_event(event: Any) -> None: ...  # type: ignore[no-redef]  # noqa: F811

    known.add(subscription("same", "x", subscriber=first))
    known.add(subscription("same", "y", subscriber=on_event))
    [(one, two)] = known.clashes
    assert one.path == two.path
    assert one.place == f"{one.path} (line {first.__code__.co_firstlineno})"
    assert two.place == f"{two.path} (line {on_event.__code__.co_firstlineno})"
    assert one.place != two.place


def defined() -> FunctionType:
    """Return one function of this module, defined once more at each call."""

    def note(event: Any) -> None: ...

    assert isinstance(note, FunctionType)
    return note


def imported_anew(function: FunctionType) -> FunctionType:
    """Return the function as a second import of its module would define it."""
    return FunctionType(function.__code__, dict(function.__globals__))


@pytest.mark.parametrize("pattern", ["x", "y"])
def test_a_module_that_is_imported_anew_replaces_its_functions(known: Registry, pattern: str):
    old = defined()
    new = imported_anew(old)
    known.add(subscription("same", "x", subscriber=old))
    known.add(subscription("same", pattern, subscriber=new))
    assert known.clashes == []
    assert [s.subscriber for s in known] == [new]
    assert [s.subscriber for s in known.matching(pattern)] == [new]


def test_a_module_that_is_reloaded_as_it_was_replaces_its_functions(known: Registry):
    old, new = defined(), defined()
    for subscriber in (old, new):
        known.add(subscription("same", "x", subscriber=subscriber, retry=Retry(max_attempts=3)))
    assert known.clashes == []
    assert [s.subscriber for s in known] == [new]


@pytest.mark.parametrize(
    "options",
    [
        {"queue": "fast"},
        {"retry": Retry(max_attempts=3)},
        {"timeout": 5},
        {"atomic": False},
        {"patterns": ("y",)},
    ],
)
def test_functions_of_one_place_clash_if_their_options_differ(
    known: Registry, options: dict[str, Any]
):
    """Defined in a loop, say: the last one would silently take the deliveries of the others."""
    one, two = defined(), defined()
    known.add(subscription("same", "x", subscriber=one))
    known.add(replace(subscription("same", "x", subscriber=two), **options))
    [(first, second)] = known.clashes
    assert (first.subscriber, second.subscriber) == (one, two)
    assert [s.subscriber for s in known] == [one]
