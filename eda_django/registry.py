"""Who subscribes to what, in the running code. No database, no Redis."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .events import EventTypes, types
from .retry import Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscriber's registration. `name` is what deliveries store, so that code can move."""

    name: str
    subscriber: Callable[[Any], Any]
    patterns: tuple[str, ...]
    queue: str | None = None
    retry: Retry = Retry()
    timeout: float | None = None
    atomic: bool = True
    is_async: bool = False

    @property
    def path(self) -> str:
        return f"{self.subscriber.__module__}.{self.subscriber.__qualname__}"

    @property
    def place(self) -> str:
        """Where the function is written, for people."""
        code = getattr(inspect.unwrap(self.subscriber), "__code__", None)
        return f"{self.path} (line {code.co_firstlineno})" if code else self.path

    def matches(self, event_type: str) -> bool:
        return any(pattern_matches(pattern, event_type) for pattern in self.patterns)


def is_pattern(name: str) -> bool:
    return "*" in name


def pattern_matches(pattern: str, event_type: str) -> bool:
    """Return whether the type fits: `*` stands for any text, dots included."""
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), event_type) is not None


class Registry:
    """The subscriptions of the running code, and what it knows of event types."""

    def __init__(self, event_types: EventTypes = types) -> None:
        self._event_types = event_types
        self._by_name: dict[str, Subscription] = {}
        self._matches: dict[str, tuple[Subscription, ...]] = {}
        self.clashes: list[tuple[Subscription, Subscription]] = []
        # The functions under @publishes, by the event's name; for people to look at.
        self.published: dict[str, set[str]] = {}

    def add(self, subscription: Subscription) -> None:
        """Register; a second subscription of one name is kept aside for `manage.py check`."""
        known = self._by_name.get(subscription.name)
        if known and not _is_anew(known, subscription):
            self.clashes.append((known, subscription))
            return
        self._by_name[subscription.name] = subscription
        self._matches.clear()

    def add_publisher(self, event_type: str, path: str) -> None:
        self.published.setdefault(event_type, set()).add(path)

    def remove(self, name: str) -> None:
        """Forget a subscription; for tests that stand for older code."""
        self._by_name.pop(name, None)
        self._matches.clear()

    def get(self, name: str) -> Subscription | None:
        return self._by_name.get(name)

    def matching(self, event_type: str) -> tuple[Subscription, ...]:
        """Return every subscription that takes events of this type."""
        found = self._matches.get(event_type)
        if found is None:
            found = tuple(s for s in self if s.matches(event_type))
            self._matches[event_type] = found
        return found

    def knows_type(self, event_type: str) -> bool:
        """Return whether this code may decide who gets the event.

        A pattern such as `*` is no knowledge: in a rolling deploy it would let old code route an
        event past a subscriber that only newer code has.
        """
        if self._event_types.get(event_type):
            return True
        return any(event_type in s.patterns for s in self.matching(event_type))

    def names(self) -> list[str]:
        return list(self._by_name)

    def timeout_of(self, name: str, default: float | None) -> float | None:
        """Return the seconds an attempt may take, None for no limit, which RQ spells as -1."""
        subscription = self.get(name)
        limit = (subscription.timeout if subscription else None) or default
        return limit if limit and limit > 0 else None

    def type_names(self) -> set[str]:
        """Return every event name that the code declares or names exactly."""
        exact = {p for s in self for p in s.patterns if not is_pattern(p)}
        return exact | {declared.name for declared in self._event_types}

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_name.values()))


def _is_anew(known: Subscription, subscription: Subscription) -> bool:
    """Return whether a module was imported anew, as autoreloaders do, and this is its function."""
    if known.place != subscription.place:
        return False
    # Of one place, of one import, and yet different: it was defined several times, as in a loop.
    is_changed = replace(known, subscriber=subscription.subscriber) != subscription
    return not (is_changed and _module_of(known) is _module_of(subscription))


def _module_of(subscription: Subscription) -> object:
    return getattr(inspect.unwrap(subscription.subscriber), "__globals__", None)


registry = Registry()
