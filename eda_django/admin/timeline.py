"""What happened to an event, in its order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import Delivery, OutboxEvent, Status
from ..models.past_operations import Past
from .display import span
from .history import RESENT, sentence, translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: when, what, and in which tone (see display.TONES)."""

    at: datetime
    text: str
    detail: str = ""
    tone: str = "quiet"


def timeline(
    event: OutboxEvent,
    deliveries: Sequence[Delivery],
    attempts: Sequence[Any],
    acted: Sequence[Any],
    *,
    operations: Iterable[Past] = (),
    total: int,
) -> list[Entry]:
    """Return every step that the tables tell of, from the publishing to the last delivery.

    `acted` has the entries of the admin's log, of the event and of its deliveries, `operations`
    the bulk operations that went past them. `total` is how many deliveries there are, where not
    all are to be shown.
    """
    entries = [Entry(at=event.time, text=_("Published by %(source)s") % {"source": event.source})]
    if event.relayed_at:
        if _was_resent(event, deliveries, attempts, acted):
            text = _("Sent again; when it was fanned out first is not kept")
        else:
            text = ngettext(
                "Fanned out to %(count)d subscription",
                "Fanned out to %(count)d subscriptions",
                total,
            ) % {"count": total}
        entries.append(Entry(at=event.relayed_at, text=text))
    elif event.available_at:
        text = _("Set aside until then")
        entries.append(Entry(at=event.available_at, text=text, detail=event.error, tone="odd"))
    names = {delivery.pk: delivery.subscriber for delivery in deliveries}
    for attempt in attempts:
        about = {"number": attempt.number, "name": names.get(attempt.delivery_id, "")}
        text = _("%(name)s: attempt %(number)d failed") % about
        entries.append(
            Entry(at=attempt.finished_at, text=text, detail=attempt.error_class, tone="odd")
        )
    entries += [_act(one, event) for one in acted if not _is_said_by_event(one, event)]
    entries += [_bulk(*one) for one in operations]
    for delivery in deliveries:
        entries += _steps(delivery)
    return sorted(entries, key=lambda entry: entry.at)


def _was_resent(
    event: OutboxEvent,
    deliveries: Sequence[Delivery],
    attempts: Sequence[Any],
    acted: Sequence[Any],
) -> bool:
    """Whether the event's `relayed_at` is of a later time than its fanning out.

    The log says so, or what happened before.
    """
    if any(one.change_message.startswith(RESENT) for one in acted):
        return True
    steps = [at for one in deliveries for at in (one.started_at, one.finished_at) if at]
    steps += [attempt.finished_at for attempt in attempts]
    return bool(event.relayed_at and steps and min(steps) < event.relayed_at)


def _bulk(operation: Any, deliveries: Sequence[Delivery]) -> Entry:
    about = {"number": operation.pk, "count": len(deliveries)}
    detail = ngettext(
        "bulk operation %(number)d, which may have changed %(count)d delivery here",
        "bulk operation %(number)d, which may have changed %(count)d deliveries here",
        len(deliveries),
    )
    return Entry(
        at=operation.created_at, text=sentence(operation), detail=detail % about, tone="busy"
    )


def _act(logged: Any, event: OutboxEvent) -> Entry:
    text = f"{logged.user.get_username()}: {translated(logged.change_message)}"
    about = "" if logged.object_repr == str(event) else logged.object_repr
    return Entry(at=logged.action_time, text=text, detail=about, tone="busy")


def _is_said_by_event(logged: Any, event: OutboxEvent) -> bool:
    """Whether it is a delivery's entry of what the event's entry tells of all of them."""
    return logged.object_repr != str(event) and str(logged.change_message).startswith(RESENT)


def _steps(delivery: Delivery) -> Iterable[Entry]:
    name = {"name": delivery.subscriber}
    if delivery.status == Status.RUNNING and delivery.started_at:
        text = _("%(name)s: running since then") % name
        yield Entry(at=delivery.started_at, text=text, tone="busy")
    if delivery.status == Status.PENDING and delivery.due_at:
        yield Entry(at=delivery.due_at, text=_("%(name)s: due then") % name, tone="busy")
    if delivery.status == Status.QUEUED:
        about = {**name, "queue": delivery.queue}
        text = _("%(name)s: queued, waits for a worker of %(queue)s") % about
        yield Entry(at=timezone.now(), text=text, tone="busy")
    if not delivery.finished_at:
        return
    if delivery.status == Status.SUCCEEDED:
        took = ""
        if delivery.started_at:
            took = _("in %(time)s") % {"time": span(delivery.finished_at - delivery.started_at)}
        text = _("%(name)s: succeeded") % name
        yield Entry(at=delivery.finished_at, text=text, detail=took, tone="good")
    elif delivery.status == Status.DEAD:
        text = _("%(name)s: dead, out of attempts") % name
        yield Entry(at=delivery.finished_at, text=text, detail=delivery.error_class, tone="bad")
    elif delivery.status == Status.DISCARDED:
        text = _("%(name)s: discarded") % name
        yield Entry(at=delivery.finished_at, text=text, detail=delivery.error_class)
