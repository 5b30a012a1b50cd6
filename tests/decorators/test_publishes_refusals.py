"""What @publishes refuses at import."""

import functools
from typing import Any

import pytest
from django.db.models import Model

from eda_django import (
    Event,
    InvalidPublisher,
    UnknownDatabase,
    publishes,
    subscribes,
)
from tests.decorators.functions import GENERATOR, SomeClass, Undeclared, async_generator, generator
from tests.testapp.events import Noted
from tests.testapp.models import Order


async def async_function() -> None: ...


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
        (
            SomeClass(),
            "must stand on a function, not on <tests.decorators.functions.SomeClass object",
        ),
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


@pytest.mark.parametrize(
    ("decorator", "problem"),
    [
        (publishes, f"@publishes({Order!r}) must name an event: "),
        (
            publishes(Noted),
            f"@publishes('testapp.noted') must stand on a function, not on {Order!r}.",
        ),
    ],
    ids=["bare", "with an event"],
)
def test_publishes_refuses_a_model_class_and_leaves_its_save_alone(decorator: Any, problem: str):
    """Wrapped, it would lose a save() of its own, and its subclasses would recurse without end."""
    before = dict(vars(Order))
    with pytest.raises(InvalidPublisher) as caught:
        decorator(Order)
    assert str(caught.value).startswith(problem)
    assert dict(vars(Order)) == before
    assert Order.save is Model.save


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
        "There is no database 'nowhere': name one that DATABASES has ('default', 'other'), or "
        "add it there."
    )
