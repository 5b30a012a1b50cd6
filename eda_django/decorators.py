"""@publishes and @subscribes: check what they decorate, register it, hand the function back."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import transaction

from .conf import MAX_NAME
from .events import EventType, name_problem, types
from .exceptions import InvalidPublisher, InvalidSubscriber
from .outbox import database, known_database, publish, publish_many
from .payloads import described, text_problem
from .registry import Subscription, is_pattern, registry
from .retry import Retry

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def publishes(
    event: type | str,
    *,
    payload: Callable[[Any], Any] | None = None,
    key: Callable[[Any], object] | None = None,
    idempotency_key: Callable[[Any], str | None] | None = None,
    using: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run a function in transaction.atomic() and publish what it returns; its caller gets that too.

    `event` is a declared class or a name. The function returns one payload, a list or tuple of
    them, or None for nothing to publish. Where it returns something else, `payload`, `key` and
    `idempotency_key` make theirs from each thing returned. An exception rolls everything back.
    Raises InvalidPublisher at import for a wrong event, option or function (an `async def` one
    among them), and UnknownDatabase for a wrong `using`.
    """
    declared = _declare(event)
    _check_functions(declared.name, payload=payload, key=key, idempotency_key=idempotency_key)
    if using is not None:
        known_database(using)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if problem := _publisher_problem(function):
            raise InvalidPublisher(f"@publishes({declared.name!r}) {problem}")
        registry.add_publisher(declared.name, f"{function.__module__}.{function.__qualname__}")

        @functools.wraps(function)
        def published(*args: P.args, **kwargs: P.kwargs) -> R:
            alias = database(using)
            with transaction.atomic(using=alias):
                result = function(*args, **kwargs)
                items = _items(result)
                if idempotency_key is None:
                    publish_many(
                        [(declared.name, payload(item) if payload else item) for item in items],
                        key=_key_of(items, key),
                        using=alias,
                    )
                else:
                    _publish_once(declared, items, payload, key, idempotency_key, alias)
            return result

        return published

    return decorate


def subscribes(
    *events: type | str,
    name: str | None = None,
    queue: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    atomic: bool = True,
) -> Callable[[F], F]:
    """Register a function, sync or async, as a subscriber of events.

    `events` are declared classes, exact names and patterns (`"orders.*"`, `"*"`). `name` is what
    deliveries store, by default the module and the function. `queue` is an RQ queue (default:
    the setting QUEUE), `timeout` the seconds one attempt may take (default: the queue's). With
    `atomic` the subscriber's writes and the acknowledgement commit together; without, it runs
    outside a transaction, at least once. Raises InvalidSubscriber at import on wrong use.
    """
    # Checked here, because bare of arguments the function would never reach what is below.
    if not events or inspect.isroutine(events[0]):
        raise InvalidSubscriber(
            "@subscribes needs the events it is for: @subscribes(OrderPlaced) or "
            "@subscribes('orders.*')."
        )

    def decorate(function: F) -> F:
        if problem := _function_problem(function):
            raise InvalidSubscriber(f"@subscribes {problem}")
        default = f"{function.__module__}.{function.__qualname__}"
        subscriber = default if name is None else name
        _check_subscriber(subscriber, function)
        registry.add(
            Subscription(
                name=subscriber,
                subscriber=function,
                patterns=_patterns(subscriber, events),
                queue=_checked_queue(subscriber, queue),
                retry=_checked_retry(subscriber, retry),
                timeout=_checked_timeout(subscriber, timeout),
                atomic=_checked_atomic(subscriber, atomic),
                is_async=_is_async(function),
            )
        )
        return function

    return decorate


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
    if problem := _function_problem(function):
        return problem
    name = function.__qualname__
    if _is_async(function):
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


def _function_problem(function: Any) -> str:
    if isinstance(function, classmethod | staticmethod):
        return f"must stand below @{type(function).__name__}, not above it."
    if (
        isinstance(function, type)
        or not callable(function)
        or not hasattr(function, "__qualname__")
    ):
        return f"must stand on a function, not on {function!r:.100}."
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return (
            f"can't decorate the generator function {function.__qualname__!r}: calling it runs "
            f"nothing. Return a list instead of yielding."
        )
    return ""


def _items(result: Any) -> list[Any]:
    if result is None:
        return []
    # Not their subclasses: a NamedTuple is one thing.
    return list(result) if type(result) in (list, tuple) else [result]


def _key_of(
    items: list[Any], key: Callable[[Any], object] | None
) -> Callable[[Any], object] | None:
    # The key is made from what the function returned, publish_many asks once a payload.
    if key is None:
        return None
    keys = iter([key(item) for item in items])
    return lambda _: next(keys)


def _publish_once(
    declared: EventType,
    items: list[Any],
    payload: Callable[[Any], Any] | None,
    key: Callable[[Any], object] | None,
    idempotency_key: Callable[[Any], str | None],
    using: str,
) -> None:
    for item in items:
        publish(
            declared.name,
            payload(item) if payload else item,
            key=key(item) if key else None,
            idempotency_key=idempotency_key(item),
            using=using,
        )


def _check_subscriber(name: str, function: Callable[..., Any]) -> None:
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise InvalidSubscriber(
            f"@subscribes(name={name!r:.100}) must be a text of 1 to {MAX_NAME} characters."
        )
    if problem := text_problem(name):
        raise InvalidSubscriber(f"@subscribes(name={name!r}) {problem}.")
    known = registry.get(name)
    if known and known.subscriber is function:
        raise InvalidSubscriber(
            f"Subscriber {name!r} is subscribed twice: name all of its events in one @subscribes, "
            f"or give the second a name of its own."
        )
    try:
        inspect.signature(function).bind(object())
    except TypeError as error:
        raise InvalidSubscriber(
            f"Subscriber {name!r} must take one argument, the event: {error}."
        ) from error
    except ValueError:
        return


def _patterns(name: str, events: tuple[type | str, ...]) -> tuple[str, ...]:
    return tuple(_pattern(name, event) for event in events)


def _pattern(name: str, event: type | str) -> str:
    if isinstance(event, str):
        plain = event.replace("*", "x") if is_pattern(event) else event
        if problem := name_problem(plain):
            raise InvalidSubscriber(
                f"Subscriber {name!r} names the event {event[:80]!r}: {problem}"
            )
        return event
    declared = types.of_class(event) if isinstance(event, type) else None
    if declared is None:
        raise InvalidSubscriber(
            f"Subscriber {name!r}: {event!r} is not declared as an event. Decorate the class with "
            f'@event("app.what_happened"), or subscribe to a name.'
        )
    return declared.name


def _checked_queue(name: str, queue: str | None) -> str | None:
    if queue is not None and (not isinstance(queue, str) or not queue or len(queue) > MAX_NAME):
        raise InvalidSubscriber(
            f"Subscriber {name!r}: queue={queue!r} must be the name of a queue in RQ_QUEUES."
        )
    return queue


def _checked_retry(name: str, retry: Retry | None) -> Retry:
    if retry is not None and not isinstance(retry, Retry):
        raise InvalidSubscriber(
            f"Subscriber {name!r}: retry={retry!r} must be an eda_django.Retry, such as "
            f"Retry(max_attempts=8)."
        )
    return retry or Retry()


def _checked_timeout(name: str, timeout: float | None) -> float | None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and 0 < timeout < 10**7):
        raise InvalidSubscriber(
            f"Subscriber {name!r}: timeout={timeout!r} must be a number of seconds above 0."
        )
    return timeout


def _checked_atomic(name: str, atomic: bool) -> bool:
    if not isinstance(atomic, bool):
        raise InvalidSubscriber(f"Subscriber {name!r}: atomic={atomic!r} must be True or False.")
    return atomic


def _is_async(function: Callable[..., Any]) -> bool:
    return iscoroutinefunction(function)
