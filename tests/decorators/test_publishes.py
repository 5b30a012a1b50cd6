"""@publishes: what the function returns is published in its transaction."""

import inspect
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from pydantic import BaseModel
from typing_extensions import TypedDict

from eda_django import Event, InvalidEvent, NotInTransaction, event, publishes, subscribes
from eda_django.events import types
from eda_django.models import OutboxEvent
from eda_django.registry import registry
from tests.decorators.functions import noted, rows
from tests.testapp.events import Noted
from tests.testapp.models import Order


class Cancelled(Exception):
    """Rolls a transaction back."""


class Placed(NamedTuple):
    order: Order
    is_new: bool


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
@pytest.mark.parametrize(
    ("made", "stored"), [(lambda noted: None, ""), (lambda noted: noted.text, None)]
)
def test_key_may_be_none_and_not_empty(made: Any, stored: str | None):
    """An empty one would be no key, and what it should keep together would not be."""

    @publishes(Noted, key=made)
    def note() -> Noted:
        return Noted("")

    if stored is None:
        with pytest.raises(InvalidEvent) as caught:
            note()
        assert str(caught.value) == "key='' must not be empty; leave it out instead."
        assert not OutboxEvent.objects.exists()
    else:
        note()
        assert OutboxEvent.objects.get().key == stored


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
        "Event 'testapp.noted' needs a payload of type Noted or a dict of its fields, not an Order."
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


def test_the_function_keeps_its_name_its_text_and_its_signature():
    def place(number: str, *, rush: bool = False) -> Noted:
        """Place an order."""
        return Noted(number)

    decorated = publishes(Noted)(place)
    assert (decorated.__name__, decorated.__doc__) == ("place", "Place an order.")
    assert inspect.signature(decorated) == inspect.signature(place)


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


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_publishing_inside_goes_to_the_database_that_is_named():
    """G12: a transaction on one database is none on another."""
    from eda_django import publish

    @publishes("test.outer")
    def outer() -> None:
        publish(Noted(), using="other")

    with pytest.raises(NotInTransaction, match="on database 'other'"):
        outer()
