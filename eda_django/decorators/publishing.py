"""@publishes: a function in a transaction, whose result becomes events."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import transaction
from django.utils.decorators import method_decorator

from ..events import EventType, name_problem, types
from ..exceptions import InvalidPublisher
from ..outbox import database, known_database, publish, publish_many
from ..payloads import described
from ..registry import registry
from .functions import function_problem, path_of

P = ParamSpec("P")
R = TypeVar("R")


def publishes(
    event: type | str,
    *,
    payload: Callable[[Any], Any] | None = None,
    key: Callable[[Any], object] | None = None,
    idempotency_key: Callable[[Any], object] | None = None,
    using: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run a function in transaction.atomic() and publish what it returns; its caller gets that too.

    `event` is a declared class or a name. The function returns one payload, a list or tuple of
    them, or None for nothing to publish. Where it returns something else, `payload`, `key` and
    `idempotency_key` make theirs from each thing returned. An exception rolls everything back.
    Raises InvalidPublisher at import for a wrong event, option or function (an `async def` one
    among them), and UnknownDatabase for a wrong `using`.
    """
    name = _declare(event).name
    _check_functions(name, payload=payload, key=key, idempotency_key=idempotency_key)
    if using is not None:
        known_database(using)
    publication = _Publication(name, payload, key, idempotency_key)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if problem := _publisher_problem(function):
            raise InvalidPublisher(f"@publishes({name!r}) {problem}")
        # method_decorator() tries each decorator on a dummy of its own first.
        if function.__module__ != method_decorator.__module__:
            registry.add_publisher(name, path_of(function))

        @functools.wraps(function)
        def published(*args: P.args, **kwargs: P.kwargs) -> R:
            alias = database(using)
            with transaction.atomic(using=alias):
                result = function(*args, **kwargs)
                publication.publish(_items(result), using=alias)
            return result

        return published

    return decorate


@dataclass(frozen=True, slots=True)
class _Publication:
    """How the things that a function has returned become events."""

    name: str
    payload: Callable[[Any], Any] | None
    key: Callable[[Any], object] | None
    idempotency_key: Callable[[Any], object] | None

    def publish(self, items: list[Any], *, using: str) -> None:
        if self.idempotency_key is None:
            pairs = [(self.name, self._payload_of(item)) for item in items]
            publish_many(pairs, key=self._keys_of(items), using=using)
            return
        for item in items:
            publish(
                self.name,
                self._payload_of(item),
                key=self.key(item) if self.key else None,
                idempotency_key=self.idempotency_key(item),
                using=using,
            )

    def _payload_of(self, item: Any) -> Any:
        return self.payload(item) if self.payload else item

    def _keys_of(self, items: list[Any]) -> Callable[[Any], object] | None:
        # The key is made from what the function returned, publish_many asks once a payload.
        if self.key is None:
            return None
        keys = iter([self.key(item) for item in items])
        return lambda _: next(keys)


def _items(result: Any) -> list[Any]:
    if result is None:
        return []
    # Not their subclasses: a NamedTuple is one thing.
    return list(result) if type(result) in (list, tuple) else [result]


def _declare(event: type | str) -> EventType:
    if isinstance(event, str):
        if problem := name_problem(event):
            raise InvalidPublisher(f"@publishes({event[:80]!r}): {problem}")
        return types.get(event) or types.declare(EventType(name=event))
    declared = types.of_class(event) if isinstance(event, type) else None
    if declared is None:
        raise InvalidPublisher(
            f"@publishes({event!r}) must name an event: a class decorated with @event, or a name "
            f"such as @publishes('orders.order_placed')."
        )
    return declared


def _check_functions(name: str, **options: object) -> None:
    for option, value in options.items():
        if value is not None and not callable(value):
            raise InvalidPublisher(
                f"@publishes({name!r}) needs a function as {option}, which gets what the decorated "
                f"one returns, not {described(value)}."
            )


def _publisher_problem(function: Callable[..., Any]) -> str:
    if problem := function_problem(function):
        return problem
    name = function.__qualname__
    if iscoroutinefunction(function):
        return (
            f"can't decorate the async function {name!r}, because Django has no async "
            f"transactions. Make it a sync function and await it through "
            f"asgiref.sync.sync_to_async."
        )
    if any(subscription.subscriber is function for subscription in registry):
        return (
            f"stands above @subscribes on {name!r}, so that a worker would run it without "
            f"publishing. Put @subscribes on top."
        )
    return ""
