"""What `manage.py check` finds of subscriptions and their queues."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from . import conf
from .check_messages import error, warning
from .dispatch import default_timeout
from .events import types
from .registry import Subscription, is_pattern, registry


def check_default_queue(**_: Any) -> list[CheckMessage]:
    """E004: the queue of subscribers that name none, and of the doorbell, is nowhere."""
    queue, queues = _default_queue(), _queues()
    if queue is None or queue in queues:
        return []
    return [
        error(
            "E004",
            f"EDA_DJANGO['QUEUE'] is {queue!r}, which is not in RQ_QUEUES: subscribers that name "
            f"no queue get nothing, and commits don't wake the relay.",
            f"Add {queue!r} to settings.RQ_QUEUES"
            + _or_else(queues, ", or set EDA_DJANGO['QUEUE'] to one that it has: "),
        )
    ]


def check_subscriptions(**_: Any) -> list[CheckMessage]:
    """E002 to E004, W001 and W002: subscriptions that can't work, or hardly as meant."""
    found: list[CheckMessage] = []
    found += map(_clash, registry.clashes)
    found += _alike()
    for subscription in registry:
        found += _unimportable(subscription)
        found += _queue_problems(subscription)
        found += _undeclared(subscription)
    return found


def _clash(pair: tuple[Subscription, Subscription]) -> CheckMessage:
    first, second = pair
    text = f"Two subscribers are named {first.name!r}"
    if first.place == second.place:
        text += (
            f", and {first.place} is both, with different options: it is decorated several times, "
            f"as in a loop."
        )
    else:
        text += f": {first.place} and {second.place}."
    return error(
        "E002",
        text,
        "Give one of them another name: @subscribes(…, name=…).",
        obj=second.path,
    )


def _alike() -> Iterator[CheckMessage]:
    seen: dict[str, Subscription] = {}
    for subscription in registry:
        first = seen.setdefault(subscription.name.casefold().rstrip(), subscription)
        if first is not subscription:
            yield error(
                "E002",
                f"The subscribers {first.name!r} and {subscription.name!r} have one name to a "
                f"database that compares without case, such as MySQL.",
                "Give one of them another name: @subscribes(…, name=…).",
                obj=subscription.path,
            )


def _unimportable(subscription: Subscription) -> Iterator[CheckMessage]:
    module, name = subscription.subscriber.__module__, subscription.subscriber.__qualname__
    subject = f"Subscriber {subscription.name!r} ({subscription.path})"
    if "<" in name or "." in name:
        yield error(
            "E003",
            f"{subject} is a lambda or defined inside a function or class, so no worker could "
            f"find it.",
            "Define it at the top level of a subscribers.py. A decorator needs functools.wraps.",
            obj=subscription.path,
        )
    elif not _is_importable(module, name):
        yield error(
            "E003",
            f"{subject} is not there under this name, so no worker could find it.",
            f"Have the module {module!r} be one that can be imported, and have {name!r} in it.",
            obj=subscription.path,
        )


def _is_importable(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def _queue_problems(subscription: Subscription) -> Iterator[CheckMessage]:
    queues = _queues()
    if subscription.queue and subscription.queue not in queues:
        yield error(
            "E004",
            f"Subscriber {subscription.name!r} has queue {subscription.queue!r}, which is not in "
            f"RQ_QUEUES.",
            f"Add {subscription.queue!r} to settings.RQ_QUEUES" + _or_else(queues, "; it has "),
            obj=subscription.path,
        )
    queue = subscription.queue or _default_queue()
    if queue not in queues:
        # Said above, or, once for all that name no queue, by check_default_queue.
        return
    yield from _timeout_problems(subscription, queue)


def _timeout_problems(subscription: Subscription, queue: str) -> Iterator[CheckMessage]:
    try:
        limit = default_timeout(queue)
    except ImproperlyConfigured as error:
        problem, _, hint = str(error).rpartition(": ")
        yield warning("W002", f"{problem}.", hint.capitalize(), obj=subscription.path)
        return
    if subscription.timeout and 0 < limit < subscription.timeout:
        yield warning(
            "W002",
            f"Subscriber {subscription.name!r} has timeout={subscription.timeout:g}, but its "
            f"queue {queue!r} is meant for jobs of at most {limit} s.",
            f"Raise DEFAULT_TIMEOUT of RQ_QUEUES[{queue!r}], or lower the subscriber's timeout.",
            obj=subscription.path,
        )


def _or_else(queues: Iterable[str], head: str) -> str:
    known = ", ".join(map(repr, queues))
    return f"{head}{known}." if known else ", which has no queue yet."


def _queues() -> Any:
    return getattr(settings, "RQ_QUEUES", {})


def _default_queue() -> Any:
    # What is wrong with the setting is E001's to say.
    return None if conf.problems() else conf.get("QUEUE")


def _undeclared(subscription: Subscription) -> Iterator[CheckMessage]:
    for name in subscription.patterns:
        if not is_pattern(name) and types.get(name) is None:
            yield warning(
                "W001",
                f"Subscriber {subscription.name!r} waits for {name!r}, which nothing declares.",
                f"Is the name right? Otherwise declare it on a class in events.py: "
                f"@event({name!r}).",
                obj=subscription.path,
            )
