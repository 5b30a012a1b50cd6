"""Small things that many pages show: a state as a badge, a time span in words."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Delivery, Status
from ..models.status import RETRYING

_BREAK = re.compile(r"([._])(?=.)")
LABELS: dict[str, Any] = {
    **{status.value: status.label for status in Status},
    RETRYING: gettext_lazy("Retrying"),
    "new": gettext_lazy("New"),
    "aside": gettext_lazy("Set aside"),
    "nobody": gettext_lazy("No subscriber"),
}
# What each state looks like: good, busy, odd or bad.
TONES = {
    Status.SUCCEEDED: "good",
    Status.RUNNING: "busy",
    Status.QUEUED: "busy",
    Status.PENDING: "busy",
    Status.WAITING: "busy",
    Status.DISCARDED: "quiet",
    Status.DEAD: "bad",
    RETRYING: "odd",
    "new": "busy",
    "aside": "odd",
    "nobody": "quiet",
}


def state_of(delivery: Delivery) -> str:
    """Return the delivery's status, or that it waits for another attempt after a failure."""
    if delivery.status == Status.PENDING and delivery.attempts:
        return RETRYING
    return str(delivery.status)


def badge(state: str) -> SafeString:
    """Return a state as a coloured word; the colour says nothing that the word doesn't."""
    return format_html(
        '<span class="eda-badge eda-{}">{}</span>',
        TONES.get(state, "quiet"),
        LABELS.get(state, state),
    )


def counted(states: Mapping[str, int], partial: Collection[str] = ()) -> str:
    """Return how many are in which state, in words; in `partial` ones that is a lower bound."""
    return ", ".join(
        f"{LABELS.get(state, state)}: {or_more(count, is_partial=state in partial)}"
        for state, count in states.items()
    )


def or_more(count: int, *, is_partial: bool = True) -> str:
    """Return a number that is a lower bound where only a part was counted."""
    return _("%(count)d or more") % {"count": count} if is_partial else str(count)


def since(moment: datetime | None) -> str:
    """Return how long ago something was, in one unit."""
    return span(timezone.now() - moment) if moment else ""


def span(length: timedelta) -> str:
    """Return a length of time in the one unit that suits it."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(number)d ms") % {"number": round(seconds * 1000)}
    if seconds < 120:
        return _("%(number)d s") % {"number": round(seconds)}
    if seconds < 7_200:
        return _("%(number)d min") % {"number": seconds // 60}
    if seconds < 172_800:
        return _("%(number)d h") % {"number": seconds // 3_600}
    return _("%(number)d days") % {"number": seconds // 86_400}


def breakable(name: object) -> SafeString:
    """Return a dotted name that browsers may break after its dots and underscores."""
    return mark_safe(_BREAK.sub(r"\1<wbr>", escape(str(name))))  # noqa: S308


def last_part(name: object) -> SafeString:
    """Return a dotted name without its modules, which it shows when it is pointed at."""
    return format_html('<span title="{}">{}</span>', name, str(name).rpartition(".")[2])


def column(
    name: str, description: Any, shown: Callable[[Any], Any] | None = None
) -> Callable[[Any], Any]:
    """Return a list's column of an attribute, under a name that is translated."""

    @admin.display(description=description)
    def value(row: Any) -> Any:
        found = getattr(row, name)
        return shown(found) if shown and found else found

    value.__name__ = name
    return value
