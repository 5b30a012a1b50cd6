"""@subscribes: a function, and the options of its subscription, checked and registered."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from ..conf import MAX_NAME
from ..events import name_problem, types
from ..exceptions import InvalidSubscriber
from ..payloads import text_problem
from ..registry import Subscription, is_pattern, registry
from ..retry import Retry
from .functions import function_problem, path_of

# Seconds that one attempt may take at most: about four months.
MAX_TIMEOUT = 10**7

F = TypeVar("F", bound=Callable[..., Any])


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
        subscriber = _checked_name(name, function)
        registry.add(
            Subscription(
                name=subscriber,
                subscriber=function,
                patterns=tuple(_pattern(subscriber, event) for event in events),
                queue=_checked_queue(subscriber, queue),
                retry=_checked_retry(subscriber, retry),
                timeout=_checked_timeout(subscriber, timeout),
                atomic=_checked_atomic(subscriber, atomic),
                is_async=iscoroutinefunction(function),
            )
        )
        return function

    return decorate


def _checked_name(name: str | None, function: Callable[..., Any]) -> str:
    """Return the name of a subscriber, by default the function's."""
    if problem := function_problem(function):
        raise InvalidSubscriber(f"@subscribes {problem}")
    subscriber = path_of(function) if name is None else name
    _check_text(subscriber)
    _check_repetition(subscriber, function)
    _check_argument(subscriber, function)
    return subscriber


def _check_text(name: str) -> None:
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise InvalidSubscriber(
            f"@subscribes(name={name!r:.100}) must be a text of 1 to {MAX_NAME} characters."
        )
    if problem := text_problem(name):
        raise InvalidSubscriber(f"@subscribes(name={name!r}) {problem}.")


def _check_repetition(name: str, function: Callable[..., Any]) -> None:
    known = registry.get(name)
    if known and known.subscriber is function:
        raise InvalidSubscriber(
            f"Subscriber {name!r} is subscribed twice: name all of its events in one @subscribes, "
            f"or give the second a name of its own."
        )


def _check_argument(name: str, function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(object())
    except TypeError as error:
        raise InvalidSubscriber(
            f"Subscriber {name!r} must take one argument, the event: {error}."
        ) from error
    except ValueError:
        # It can't be looked into, such as one that is written in C.
        return


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
            f"Subscriber {name!r}: queue={queue!r:.100} must be the name of a queue in RQ_QUEUES."
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
    if timeout is not None and not (is_number and 0 < timeout < MAX_TIMEOUT):
        raise InvalidSubscriber(
            f"Subscriber {name!r}: timeout={timeout!r} must be a number of seconds above 0 "
            f"and below {MAX_TIMEOUT:,}."
        )
    return timeout


def _checked_atomic(name: str, atomic: bool) -> bool:
    if not isinstance(atomic, bool):
        raise InvalidSubscriber(f"Subscriber {name!r}: atomic={atomic!r} must be True or False.")
    return atomic
