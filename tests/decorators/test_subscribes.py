"""@subscribes: the function is registered with its options, and handed back."""

from typing import Any

from eda_django import Event, Retry, subscribes
from eda_django.registry import registry
from tests.testapp.events import Noted


def test_a_subscriber_is_registered_with_its_options_and_handed_back():
    retry = Retry(max_attempts=3)

    def note(event: Event[Any]) -> None: ...

    decorated = subscribes(
        Noted,
        "orders.*",
        "orders.paid",
        name="test.note",
        queue="fast",
        retry=retry,
        timeout=30,
        atomic=False,
    )(note)
    known = registry.get("test.note")
    assert known is not None
    assert decorated is note is known.subscriber
    assert known.patterns == ("testapp.noted", "orders.*", "orders.paid")
    assert (known.queue, known.retry, known.timeout) == ("fast", retry, 30)
    assert (known.atomic, known.is_async) == (False, False)


def test_a_subscriber_is_named_by_its_module_and_function_and_atomic_by_default():
    @subscribes("*")
    async def note(event: Event[Any]) -> None: ...

    known = registry.get(f"tests.decorators.test_subscribes.{note.__qualname__}")
    assert known is not None
    assert (known.queue, known.retry, known.timeout) == (None, Retry(), None)
    assert (known.atomic, known.is_async) == (True, True)


def test_several_functions_subscribe_to_one_event():
    def first(event: Event[Any]) -> None: ...
    def second(event: Event[Any]) -> None: ...

    subscribes("test.shared")(first)
    subscribes("test.shared")(second)
    assert [s.subscriber for s in registry.matching("test.shared")] == [first, second]


def test_one_function_may_subscribe_twice_under_two_names():
    def note(event: Event[Any]) -> None: ...

    subscribes("test.first", name="test.one")(note)
    subscribes("test.second", name="test.two")(note)
    assert [s.name for s in registry.matching("test.second")] == ["test.two"]
    assert [s.name for s in registry.matching("test.first")] == ["test.one"]
