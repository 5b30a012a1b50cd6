"""@publishes and @subscribes: what they do, and what they refuse at import."""

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from mypy import api as mypy
from pydantic import BaseModel
from typing_extensions import TypedDict

from eda_django import (
    Event,
    InvalidEvent,
    InvalidPublisher,
    InvalidSubscriber,
    NotInTransaction,
    Retry,
    UnknownDatabase,
    event,
    publishes,
    subscribes,
)
from eda_django.events import types
from eda_django.models import OutboxEvent
from eda_django.registry import registry
from tests.testapp.events import Noted
from tests.testapp.models import Order


class Cancelled(Exception):
    """Rolls a transaction back."""


class Placed(NamedTuple):
    order: Order
    is_new: bool


def rows() -> list[tuple[str, Any]]:
    return list(OutboxEvent.objects.order_by("id").values_list("type", "data"))


def noted(*texts: str) -> list[tuple[str, Any]]:
    return [("testapp.noted", {"text": text, "behave": ""}) for text in texts]


# @publishes


@pytest.mark.django_db(transaction=True)
def test_what_the_function_returns_is_published_in_its_transaction():
    """G1"""

    @publishes(Noted)
    def place(number: str) -> Noted:
        assert transaction.get_connection().in_atomic_block
        Order.objects.create(number=number)
        return Noted(number)

    assert place("A-1") == Noted("A-1")
    assert rows() == noted("A-1")
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nested", [False, True])
def test_an_exception_rolls_everything_back(nested: bool):
    """G1"""

    @publishes(Noted)
    def place() -> Noted:
        Order.objects.create(number="A-1")
        raise Cancelled

    with transaction.atomic() if nested else transaction.atomic(using="default"):
        with pytest.raises(Cancelled):
            place()
        assert not Order.objects.exists()
    assert (rows(), Order.objects.count()) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_an_event_that_can_not_be_published_rolls_the_change_back():
    """G1"""

    @publishes(Noted)
    def place() -> Any:
        Order.objects.create(number="A-1")
        return Noted(5)  # type: ignore[arg-type]

    with pytest.raises(InvalidEvent, match="field 'text' is declared as str"):
        place()
    assert (rows(), Order.objects.count()) == ([], 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("returned", "texts"),
    [
        (None, ()),
        ([], ()),
        (Noted("a"), ("a",)),
        ({"text": "a"}, ("a",)),
        ([Noted("a"), {"text": "b"}], ("a", "b")),
        ((Noted("a"), Noted("b")), ("a", "b")),
    ],
)
def test_one_payload_several_or_none_may_be_returned(returned: Any, texts: tuple[str, ...]):
    @publishes("testapp.noted")
    def note() -> Any:
        return returned

    assert note() is returned
    assert rows() == noted(*texts)


@pytest.mark.django_db
def test_payload_and_key_are_made_from_what_is_returned():
    @publishes(Noted, payload=lambda order: Noted(order.number), key=lambda order: order.pk)
    def place(*numbers: str) -> list[Order]:
        return [Order.objects.create(number=number) for number in numbers]

    orders = place("A-1", "A-2")
    assert [type(order) for order in orders] == [Order, Order]
    assert rows() == noted("A-1", "A-2")
    keys = OutboxEvent.objects.order_by("id").values_list("key", flat=True)
    assert list(keys) == [str(order.pk) for order in orders]


@pytest.mark.django_db
def test_idempotency_keys_are_made_from_what_is_returned():
    @publishes(
        Noted,
        payload=lambda order: Noted(order.number),
        key=lambda order: order.pk,
        idempotency_key=lambda order: None if order.number == "free" else order.number,
    )
    def place(*numbers: str) -> list[Order]:
        return [Order.objects.create(number=number) for number in numbers]

    place("A-1", "free", "A-1", "free")
    assert rows() == noted("A-1", "free", "free")
    first = OutboxEvent.objects.order_by("id").values_list("key", "idempotency_key")[0]
    assert first == (str(Order.objects.order_by("id")[0].pk), "A-1")


@pytest.mark.django_db
def test_a_named_tuple_is_one_thing():
    @publishes(Noted, payload=lambda placed: Noted(placed.order.number))
    def place() -> Placed:
        return Placed(Order(number="A-1"), is_new=True)

    assert place().is_new
    assert rows() == noted("A-1")


@pytest.mark.django_db
def test_typed_dicts_and_models_are_published_too():
    @event("test.paid")
    class Paid(TypedDict):
        amount: int

    @event("test.sent")
    class Sent(BaseModel):
        amount: int

    @publishes(Paid)
    def pay() -> Paid:
        return {"amount": 1}

    @publishes(Sent)
    def send() -> list[Sent]:
        return [Sent(amount=2), Sent(amount=3)]

    pay()
    send()
    assert rows() == [
        ("test.paid", {"amount": 1}),
        ("test.sent", {"amount": 2}),
        ("test.sent", {"amount": 3}),
    ]


@pytest.mark.django_db
def test_another_kind_of_result_is_refused_by_type():
    @publishes(Noted)
    def place() -> Any:
        return Order(number="A-1")

    with pytest.raises(InvalidEvent) as caught:
        place()
    assert str(caught.value) == (
        "Event 'testapp.noted' needs a payload of type Noted or a dict of its fields, not Order."
    )


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_second_database_is_the_one_whose_transaction_is_opened():
    """G12"""

    @publishes(Noted, using="other")
    def place() -> Noted:
        assert transaction.get_connection("other").in_atomic_block
        assert not transaction.get_connection("default").in_atomic_block
        return Noted("there")

    place()
    assert OutboxEvent.objects.using("other").count() == 1
    assert rows() == []


def test_a_name_that_is_published_is_declared():
    """G10: relays may route it, and no check complains of its subscribers."""

    @publishes("test.declared_here")
    def note() -> Any:
        return {}

    declared = types.get("test.declared_here")
    assert declared is not None
    assert declared.payload is None


@pytest.mark.django_db
def test_methods_and_any_arguments_work():
    class Desk:
        @publishes(Noted)
        def note(self, *texts: str, **more: str) -> Noted:
            return Noted(",".join([type(self).__name__, *texts, *more.values()]))

        @classmethod
        @publishes(Noted)
        def of_class(cls, text: str) -> Noted:
            return Noted(cls.__name__ + text)

        @staticmethod
        @publishes(Noted)
        def static(text: str) -> Noted:
            return Noted(text)

    Desk().note("a", "b", c="c")
    Desk.of_class("1")
    Desk().static("2")
    assert rows() == noted("Desk,a,b,c", "Desk1", "2")


def test_the_function_keeps_its_name_its_text_and_its_signature():
    def place(number: str, *, rush: bool = False) -> Noted:
        """Place an order."""
        return Noted(number)

    decorated = publishes(Noted)(place)
    assert (decorated.__name__, decorated.__doc__) == ("place", "Place an order.")
    assert inspect.signature(decorated) == inspect.signature(place)


async def async_function() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class SomeClass:
    def __call__(self, event: Event[Any]) -> None: ...


GENERATOR = "calling it runs nothing. Return a list instead of yielding."


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (
            async_function,
            "can't decorate the async function 'async_function', because Django has no async "
            "transactions. Make it a sync function and await it through "
            "asgiref.sync.sync_to_async.",
        ),
        (generator, f"can't decorate the generator function 'generator': {GENERATOR}"),
        (async_generator, f"can't decorate the generator function 'async_generator': {GENERATOR}"),
        (SomeClass, f"must stand on a function, not on {SomeClass!r}."),
        (SomeClass(), "must stand on a function, not on <tests.test_decorators.SomeClass object"),
        (functools.partial(print), "must stand on a function, not on functools.partial(<built-in"),
        (classmethod(print), "must stand below @classmethod, not above it."),
        (staticmethod(print), "must stand below @staticmethod, not above it."),
        ("place", "must stand on a function, not on 'place'."),
        (None, "must stand on a function, not on None."),
    ],
)
def test_publishes_refuses_what_it_could_not_run_in_a_transaction(function: Any, problem: str):
    with pytest.raises(InvalidPublisher) as caught:
        publishes(Noted)(function)
    assert str(caught.value).startswith(f"@publishes('testapp.noted') {problem}")


def test_publishes_above_subscribes_is_refused():
    """Workers would run the function without publishing what it returns."""

    @subscribes(Noted)
    def note(event: Event[Noted]) -> Noted:
        return event.data

    with pytest.raises(InvalidPublisher) as caught:
        publishes(Noted)(note)
    assert str(caught.value) == (
        f"@publishes('testapp.noted') stands above @subscribes on {note.__qualname__!r}, so that "
        f"a worker would run it without publishing. Put @subscribes on top."
    )


@pytest.mark.django_db
def test_subscribes_above_publishes_publishes():
    @subscribes("testapp.noted", name="test.chain")
    @publishes("test.answered")
    def answer(event: Event[Noted]) -> dict[str, str]:
        return {"text": event.data.text}

    known = registry.get("test.chain")
    assert known is not None
    known.subscriber(Event(**{**vars_of_event(), "data": Noted("a")}))
    assert rows() == [("test.answered", {"text": "a"})]


def vars_of_event() -> dict[str, Any]:
    names = ("id", "type", "version", "source", "time", "correlation_id")
    return dict.fromkeys(names)


class Undeclared:
    pass


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (Undeclared, f"@publishes({Undeclared!r}) must name an event: "),
        (print, "@publishes(<built-in function print>) must name an event: "),
        (5, "@publishes(5) must name an event: "),
        ("bad name", "@publishes('bad name'): an event's name has letters"),
        ("a" * 256, f"@publishes({'a' * 80!r}): an event's name may have 255 characters, this"),
        ("a\x00", "@publishes('a\\x00'): an event's name has letters"),
    ],
)
def test_publishes_must_name_an_event(wrong: Any, problem: str):
    with pytest.raises(InvalidPublisher) as caught:
        publishes(wrong)
    assert str(caught.value).startswith(problem)
    if "must name" in problem:
        assert str(caught.value).endswith(
            "a class decorated with @event, or a name such as @publishes('orders.order_placed')."
        )


@pytest.mark.parametrize("option", ["payload", "key", "idempotency_key"])
def test_options_of_publishes_are_functions(option: str):
    options: dict[str, Any] = {option: "number"}
    with pytest.raises(InvalidPublisher) as caught:
        publishes(Noted, **options)
    assert str(caught.value) == (
        f"@publishes('testapp.noted') needs a function as {option}, which gets what the decorated "
        f"one returns, not 'number' (str)."
    )


def test_an_unknown_database_is_refused_at_import():
    with pytest.raises(UnknownDatabase) as caught:
        publishes(Noted, using="nowhere")
    assert str(caught.value) == (
        "There is no database 'nowhere', DATABASES has 'default', 'other'."
    )


# @subscribes


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

    known = registry.get(f"tests.test_decorators.{note.__qualname__}")
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


def test_a_second_subscribes_on_one_function_is_refused():
    """It would replace the first, whose events would then reach nobody."""

    @subscribes("test.first")
    def note(event: Event[Any]) -> None: ...

    with pytest.raises(InvalidSubscriber) as caught:
        subscribes("test.second")(note)
    assert str(caught.value) == (
        f"Subscriber 'tests.test_decorators.{note.__qualname__}' is subscribed twice: name all of "
        f"its events in one @subscribes, or give the second a name of its own."
    )
    assert len(registry.matching("test.first")) == 1


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (generator, f"can't decorate the generator function 'generator': {GENERATOR}"),
        (async_generator, f"can't decorate the generator function 'async_generator': {GENERATOR}"),
        (SomeClass, f"must stand on a function, not on {SomeClass!r}."),
        (SomeClass(), "must stand on a function, not on <tests.test_decorators.SomeClass object"),
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
            "@subscribes(name='a\\x00') holds a NUL character, which databases refuse.",
        ),
        ({"queue": ""}, f"{WRONG}queue='' must be the name of a queue in RQ_QUEUES."),
        ({"queue": 5}, f"{WRONG}queue=5 must be the name of a queue in RQ_QUEUES."),
        (
            {"retry": 5},
            f"{WRONG}retry=5 must be an eda_django.Retry, such as Retry(max_attempts=8).",
        ),
        ({"timeout": 0}, f"{WRONG}timeout=0 must be a number of seconds above 0."),
        ({"timeout": True}, f"{WRONG}timeout=True must be a number of seconds above 0."),
        ({"timeout": "5"}, f"{WRONG}timeout='5' must be a number of seconds above 0."),
        (
            {"timeout": float("inf")},
            f"{WRONG}timeout=inf must be a number of seconds above 0.",
        ),
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


# Types

SNIPPET = """
from dataclasses import dataclass
from typing import TypedDict
from eda_django import Event, event, publish, publish_many, publishes, subscribes

@event("orders.order_placed")
@dataclass(frozen=True)
class OrderPlaced:
    order_id: int

@event("orders.order_paid")
class OrderPaid(TypedDict):
    order_id: int

@publishes(OrderPlaced, key=lambda order: order.order_id)
def place(number: str, *, rush: bool = False) -> OrderPlaced:
    return OrderPlaced(1)

@subscribes(OrderPlaced, timeout=30)
def reserve(event: Event[OrderPlaced]) -> None:
    reveal_type(event.data.order_id)

reveal_type(place)
reveal_type(reserve)
reveal_type(OrderPlaced(1))
paid: OrderPaid = {"order_id": 1}
publish(paid)
publish_many([OrderPlaced(1)], key=lambda placed: placed.order_id)
place(1)
place("a", hurry=True)
"""


def test_type_checkers_see_through_the_decorators(tmp_path: Path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    told, problems, _ = mypy.run([*options, "--no-error-summary", str(snippet)])
    assert problems == ""
    lines = [line.split(": ", 1)[1] for line in told.splitlines()]
    assert lines == [
        'note: Revealed type is "int"',
        'note: Revealed type is "def (number: str, *, rush: bool =) -> snippet.OrderPlaced"',
        'note: Revealed type is "def (event: eda_django.events.Event[snippet.OrderPlaced])"',
        'note: Revealed type is "snippet.OrderPlaced"',
        'error: Argument 1 to "place" has incompatible type "int"; expected "str"  [arg-type]',
        'error: Unexpected keyword argument "hurry" for "place"  [call-arg]',
    ]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_publishing_inside_goes_to_the_database_that_is_named():
    """G12: a transaction on one database is none on another."""
    from eda_django import publish

    @publishes("test.outer")
    def outer() -> None:
        publish(Noted(), using="other")

    with pytest.raises(NotInTransaction, match="on database 'other'"):
        outer()
