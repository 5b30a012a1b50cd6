"""`manage.py check`: wrong use found before it is three in the morning."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections, router

from . import conf, payloads, secure
from .dispatch import default_timeout
from .events import types
from .exceptions import InvalidEventType
from .models import OutboxEvent
from .registry import Subscription, is_pattern, registry

# By its title: who has installed the package has no file to open.
PAGE = "System checks"
# Seconds. A worker takes about three from getting a job to starting it where each of its calls to
# Redis takes 200 ms; the rest is for a machine that is busy.
SHORTEST_LEASE = 5.0


def register() -> None:
    """Add these checks to Django's."""
    for check in (
        check_settings,
        check_lease,
        check_time_zones,
        check_default_queue,
        check_subscriptions,
        check_event_types,
        check_secure,
    ):
        checks.register(check, "eda_django")
    checks.register(check_databases, Tags.database)
    checks.register(check_sqlite, "eda_django")


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: an unknown or mistyped key of EDA_DJANGO."""
    return [_error("E001", problem, "Correct settings.EDA_DJANGO.") for problem in conf.problems()]


def check_lease(**_: Any) -> list[CheckMessage]:
    """W006: a lease so short that deliveries may go round for ever."""
    if conf.problems() or (lease := conf.get("LEASE")) >= SHORTEST_LEASE:
        return []
    return [
        _warning(
            "W006",
            f"EDA_DJANGO['LEASE'] is {lease:g} s: if a worker takes longer than that from getting "
            f"a job to starting it, its claim is gone each time, and nothing is ever delivered.",
            f"Set it to {SHORTEST_LEASE:g} or more.",
        )
    ]


def check_time_zones(**_: Any) -> list[CheckMessage]:
    """E007: naive times, which this library's can't be compared with."""
    if settings.USE_TZ:
        return []
    return [
        _error(
            "E007",
            "USE_TZ is False: times of events and deliveries would be stored in one zone and read "
            "in another, and the console fails where it compares them.",
            "Set USE_TZ = True. TIME_ZONE may stay as it is.",
        )
    ]


def check_default_queue(**_: Any) -> list[CheckMessage]:
    """E004: the queue of subscribers that name none, and of the doorbell, is nowhere."""
    queue, queues = _default_queue(), _queues()
    if queue is None or queue in queues:
        return []
    return [
        _error(
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


def check_event_types(**_: Any) -> list[CheckMessage]:
    """E005: an event class that pydantic can't read."""
    found: list[CheckMessage] = []
    for declared in types:
        try:
            if declared.payload:
                payloads.adapter(declared.payload)
        except InvalidEventType as error:
            hint = (
                "Give every field a type that pydantic knows; before Python 3.12 take TypedDict "
                "from typing_extensions."
            )
            found.append(_error("E005", str(error), hint, obj=declared.name))
    return found


def check_secure(**_: Any) -> list[CheckMessage]:
    """E006 and W005: workers that are only half closed to strangers' jobs."""
    found: list[CheckMessage] = [_error("E006", text, hint) for text, hint in secure.gaps()]
    if not secure.is_in_use() and not conf.problems() and conf.get("ALLOWED_JOBS"):
        found.append(
            _warning(
                "W005",
                "EDA_DJANGO['ALLOWED_JOBS'] is set, and nothing reads it: RQ runs any function.",
                "Set RQ['JOB_CLASS'] = 'eda_django.secure.SecureJob', or remove the key.",
            )
        )
    return found


def check_databases(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W003: a database in use without the outbox table."""
    # `migrate` runs this check right before it makes the table.
    if "migrate" in sys.argv[:2]:
        return []
    return [
        _warning(
            "W003",
            f"Database {alias!r} has no table {OutboxEvent._meta.db_table!r}, so publish() and "
            f"the relay fail there.",
            f"Run: manage.py migrate --database={alias} eda_django",
        )
        for alias in databases or ()
        if router.allow_migrate_model(alias, OutboxEvent) and not has_outbox(alias)
    ]


def check_sqlite(**_: Any) -> list[CheckMessage]:
    """W004: SQLite that refuses to wait for its one writer."""
    return [
        _warning(
            "W004",
            f"Database {alias!r} is SQLite without transaction_mode 'IMMEDIATE': a subscriber "
            f"that reads before it writes fails with 'database is locked' when others write.",
            "Set DATABASES[…]['OPTIONS'] = {'transaction_mode': 'IMMEDIATE', 'timeout': 30}.",
        )
        for alias in connections
        if connections[alias].vendor == "sqlite"
        and router.allow_migrate_model(alias, OutboxEvent)
        and not _locks_at_once(alias)
    ]


def _locks_at_once(alias: str) -> bool:
    mode = settings.DATABASES[alias].get("OPTIONS", {}).get("transaction_mode")
    return str(mode).upper() in ("IMMEDIATE", "EXCLUSIVE")


def has_outbox(using: str) -> bool:
    """Return whether the outbox table exists; True, too, if the database can't be asked."""
    try:
        return OutboxEvent._meta.db_table in connections[using].introspection.table_names()
    except OperationalError:
        # What is away now says nothing about its tables, and whoever needs it will say so.
        return True


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
    return _error(
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
            yield _error(
                "E002",
                f"The subscribers {first.name!r} and {subscription.name!r} have one name to a "
                f"database that compares without case, such as MySQL.",
                "Give one of them another name: @subscribes(…, name=…).",
                obj=subscription.path,
            )


def _unimportable(subscription: Subscription) -> Iterator[CheckMessage]:
    module, name = subscription.subscriber.__module__, subscription.subscriber.__qualname__
    if "<" in name or not _is_importable(module, name):
        yield _error(
            "E003",
            f"Subscriber {subscription.name!r} ({subscription.path}) is a lambda or defined "
            f"inside a function or class, so no worker could find it.",
            "Define it at the top level of a subscribers.py.",
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
        yield _error(
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
        yield _warning("W002", f"{problem}.", hint.capitalize(), obj=subscription.path)
        return
    if subscription.timeout and 0 < limit < subscription.timeout:
        yield _warning(
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
            yield _warning(
                "W001",
                f"Subscriber {subscription.name!r} waits for {name!r}, which nothing declares.",
                f"Is the name right? Otherwise declare it on a class in events.py: "
                f"@event({name!r}).",
                obj=subscription.path,
            )


def _error(number: str, text: str, hint: str, obj: Any = None) -> Error:
    return Error(text, hint=_with_page(hint, number), obj=obj, id=f"eda_django.{number}")


def _warning(number: str, text: str, hint: str, obj: Any = None) -> Warning:
    return Warning(text, hint=_with_page(hint, number), obj=obj, id=f"eda_django.{number}")


def _with_page(hint: str, number: str) -> str:
    stop = "" if hint.endswith(".") else "."
    return f'{hint}{stop} See {number} on the page "{PAGE}" of the documentation.'
