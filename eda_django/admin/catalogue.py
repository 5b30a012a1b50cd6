"""The catalogue: every event type, who publishes it, who gets it, and what nobody knows."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from ..events import EventType, types
from ..models import CatalogueEntry, OutboxEvent, statistics, volumes
from ..models.search import types_in_the_outbox
from ..models.volumes import Volume
from ..registry import registry
from .display import or_more
from .drawing import drawing
from .readonly import PageAdmin


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event type. `declared` is None if only the tables, or a subscription, know it."""

    name: str
    declared: EventType | None
    fields: tuple[str, ...]
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]
    # Events of the last day, and those that wait for code that knows their type.
    count: int
    counted: str
    last_seen: datetime | None
    # Whether a later one may have come that was not looked at.
    may_be_later: bool
    aside: str
    # How those came that no function under @publishes has published.
    call: str = "publish()"

    @property
    def is_known(self) -> bool:
        return registry.knows_type(self.name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The volumes of the types that are stored, by name."""

    last_day: Mapping[str, Volume]
    # Of the types that did not come in the last day, and of how many events of each.
    earlier: Mapping[str, Volume]
    looked_at: int
    aside: Mapping[str, Volume]

    @classmethod
    def of(cls, using: str, stored: Sequence[str]) -> "Figures":
        last_day = volumes.last_day(using)
        absent = [name for name in stored if name not in last_day]
        return cls(
            last_day=last_day,
            earlier=volumes.earlier(using, absent),
            looked_at=volumes.looked_at(absent),
            aside=volumes.set_aside_by_type(using),
        )


@admin.register(CatalogueEntry)
class CatalogueAdmin(PageAdmin):
    viewers = ("view_outboxevent",)
    template = "catalogue.html"
    title = gettext_lazy("Catalogue")

    def context(self, request: HttpRequest) -> dict[str, Any]:
        return catalogue()


def catalogue() -> dict[str, Any]:
    """Return everything that the page shows, by a number of statements that does not grow."""
    using = str(OutboxEvent.objects.db)
    stored = types_in_the_outbox(using)
    figures = Figures.of(using, stored)
    names = sorted({*registry.type_names(), *stored, *registry.published})
    entries = [_entry(name, figures) for name in names]
    served = set(statistics.subscribers_with_history(using))
    served |= {part.subscriber for part in statistics.backlog(using)}
    return {
        "entries": entries,
        "idle": sorted((s for s in registry if s.name not in served), key=lambda s: s.name),
        "undeclared": [e for e in entries if e.declared is None and e.name in stored],
        "waiting": [e for e in entries if e.aside],
        "drawing": drawing(
            {entry.name: (entry.publishers, entry.subscribers) for entry in entries}
        ),
    }


def _entry(name: str, figures: Figures) -> Entry:
    today, before = figures.last_day.get(name), figures.earlier.get(name)
    count = today.count if today else 0
    waiting = figures.aside.get(name)
    last = today or before
    return Entry(
        name=name,
        declared=types.get(name),
        fields=tuple(_fields(types.get(name))),
        publishers=tuple(sorted(registry.published.get(name, ()))),
        subscribers=tuple(sorted(s.name for s in registry.matching(name))),
        count=count,
        counted=or_more(count, is_partial=volumes.is_partial(figures.last_day)),
        last_seen=last.last_at if last else None,
        may_be_later=last is before is not None and before.count >= figures.looked_at,
        aside=or_more(waiting.count, is_partial=volumes.is_partial(figures.aside))
        if waiting
        else "",
    )


def _fields(declared: EventType | None) -> Iterable[str]:
    """Yield a payload's fields as they are written: name, colon, type."""
    if declared is None or declared.payload is None:
        return
    try:
        hints = typing.get_type_hints(declared.payload)
    except Exception:
        # A name that only type checkers can see.
        hints = dict(getattr(declared.payload, "__annotations__", {}))
    for name, hint in hints.items():
        if not name.startswith("_") and name != "model_config":
            yield f"{name}: {_named(hint)}"


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
