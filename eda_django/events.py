"""Event, the envelope that subscribers get, and the event types that the code declares."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from .conf import MAX_NAME
from .exceptions import InvalidEvent, InvalidEventType

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    # Before 0.14 two forks of one process, such as a web server's or a worker's, made the same ids.
    from uuid_utils.compat import uuid7

__all__ = ["Event", "EventType", "EventTypes", "current_event", "event", "types", "uuid7"]

T = TypeVar("T")
C = TypeVar("C", bound=type)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[T]):
    """One fact, as it was published. The attributes are those of CloudEvents 1.0, and ours.

    `data` is an instance of the declared event class, or a dict where none is declared.
    `attempt` counts from 1 while a subscriber runs, and is 0 in what publish() returns.
    """

    # Not in the repr, which ends up in logs and error texts.
    data: T = field(repr=False)
    id: UUID
    type: str
    version: int
    source: str
    time: datetime
    correlation_id: str
    causation_id: UUID | None = None
    key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attempt: int = 0


# The event whose subscriber runs now: what it publishes is caused by this one.
current_event: ContextVar[Event[Any] | None] = ContextVar("eda_django.current_event", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A declared event: its name, its version, and the class of its payload (None: a dict)."""

    name: str
    version: int = 1
    payload: type | None = None


class EventTypes:
    """The event types that the running code knows, by name and by class."""

    def __init__(self) -> None:
        self._by_name: dict[str, EventType] = {}
        self._by_class: dict[type, EventType] = {}

    def declare(self, declared: EventType) -> EventType:
        """Add a type, or find it again.

        Raises InvalidEventType if the name means another class, or the class another event.
        """
        known = self._by_name.get(declared.name)
        if known and known.payload and declared.payload is None:
            return known
        if known and known.payload and not _same_class(known.payload, declared.payload):
            raise InvalidEventType(
                f"Event {declared.name!r} is declared twice, by {_path(known.payload)} and by "
                f"{_path(declared.payload)}: give one of them another name."
            )
        if declared.payload is not None:
            other = self._by_class.setdefault(declared.payload, declared)
            if other.name != declared.name:
                raise InvalidEventType(
                    f"{_path(declared.payload)} is declared twice, as {other.name!r} and as "
                    f"{declared.name!r}: give each event a class of its own."
                )
            self._by_class[declared.payload] = declared
        self._by_name[declared.name] = declared
        return declared

    def get(self, name: str) -> EventType | None:
        return self._by_name.get(name)

    def of_class(self, payload: type) -> EventType | None:
        return self._by_class.get(payload)

    def __iter__(self) -> Iterator[EventType]:
        return iter(list(self._by_name.values()))

    def forget(self, name: str) -> None:
        """Remove a declaration; for tests that stand for older code."""
        known = self._by_name.pop(name, None)
        if known and known.payload:
            self._by_class.pop(known.payload, None)


types = EventTypes()


def event(name: str, *, version: int = 1) -> Callable[[C], C]:
    """Declare a dataclass, TypedDict or pydantic model as the payload of the event `name`.

    Raise `version` when the payload changes so that older code can't read it: that code then
    leaves such events to newer code. Raises InvalidEventType on a bad name, version or class.
    """
    if problem := name_problem(name):
        raise InvalidEventType(f"@event({_short(name)}): {problem}")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 2**15:
        raise InvalidEventType(
            f"@event({name!r}, version={version!r}): the version must be a whole number from "
            f"1 to 32,767."
        )

    def declare(payload: C) -> C:
        if not is_payload_class(payload):
            raise InvalidEventType(
                f"@event({name!r}) must stand on a dataclass, a TypedDict or a pydantic model, and "
                f"above @dataclass, not below it; {payload!r} is none of these."
            )
        types.declare(EventType(name=name, version=version, payload=payload))
        return payload

    return declare


def name_problem(name: object) -> str:
    """Say what is wrong with an event's name, or return an empty string."""
    if not isinstance(name, str):
        return f"an event's name must be a text such as 'orders.order_placed', not {_short(name)}."
    if len(name) > MAX_NAME:
        return (
            f"an event's name may have {MAX_NAME} characters, this one has {len(name)}: take "
            f"a shorter one."
        )
    if not _NAME.match(name):
        return (
            "an event's name has letters, digits, '_', '-', '.', ':' and '/' only, and begins with "
            "none of the last four, such as 'orders.order_placed'."
        )
    return ""


def check_name(name: object) -> str:
    """Return the name. Raises InvalidEvent if it can't name an event."""
    if problem := name_problem(name):
        raise InvalidEvent(f"Event {_short(name)}: {problem}")
    return str(name)


def is_payload_class(candidate: object) -> bool:
    """Return whether this is a class whose fields pydantic can read."""
    if not isinstance(candidate, type):
        return False
    if issubclass(candidate, dict):
        return hasattr(candidate, "__total__")
    # A subclass inherits the fields: without @dataclass of its own, those it adds are none.
    return hasattr(candidate, "__pydantic_validator__") or "__dataclass_fields__" in vars(candidate)


def _same_class(one: type, other: type | None) -> bool:
    # Autoreloaders import a module anew: the class is another object, its name is the same.
    return other is not None and _path(one) == _path(other)


def _path(payload: type | None) -> str:
    return f"{payload.__module__}.{payload.__qualname__}" if payload else "a plain dict"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
