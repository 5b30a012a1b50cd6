"""What the admin's log says: stored in English for everyone, and read in the reader's language."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop, override

from .. import signals
from ..models import BulkOperation, Delivery, FailureNote, OutboxEvent
from ..models.bulk_operation import Reach, Verb
from ..models.windows import SLACK
from .display import or_more

DONE = {
    Verb.RETRY: gettext_noop("Retried"),
    Verb.RETRY_NOW: gettext_noop("Retried now"),
    Verb.DISCARD: gettext_noop("Discarded"),
}
# Of a bulk operation, which a relay is still to do.
BEGUN = {
    Verb.RETRY: gettext_noop("Began to retry"),
    Verb.RETRY_NOW: gettext_noop("Began to retry now"),
    Verb.DISCARD: gettext_noop("Began to discard"),
}
RESENT = gettext_noop("Resent to")
COPIED = gettext_noop("Published by hand as an edited copy of")
EDITED = gettext_noop("Edited and resent as")
NOTED = gettext_noop("Noted")
UNNOTED = gettext_noop("Note removed")
# What operators did to an event, on its page; the latest.
MAX_ENTRIES = 100
# They are looked for among so many: Django's log has no index that leads to a row's entries.
MAX_LOOKED_AT = 100_000
# What a bulk operation came to.
CANCELLED = gettext_noop(
    "Cancelled: done to %(changed)d, passed over %(passed_over)d, left %(left)s."
)
ENDED = gettext_noop("Ended: done to %(changed)d, passed over %(passed_over)d, left %(left)s.")
MORE = " or more"
# In the place of a number that newer code could tell.
UNTOLD = "?"
_FIGURE = re.compile(r"%\\\((\w+)\\\)d")
_LEFT = rf"(?P<left>\d+(?:{MORE})?|\{UNTOLD})"
_FIGURES = {
    text: re.compile(
        _FIGURE.sub(r"(?P<\1>\\d+)", re.escape(text)).replace(re.escape("%(left)s"), _LEFT)
    )
    for text in (CANCELLED, ENDED)
}
# The longer first: one begins as another does.
_HEADS = sorted(
    (*DONE.values(), *BEGUN.values(), RESENT, COPIED, EDITED, NOTED, UNNOTED),
    key=len,
    reverse=True,
)


def log(request: HttpRequest, rows: Iterable[Any], text: str) -> None:
    """Write an entry for each row into the admin's log; `text` begins with words from above."""
    if found := list(rows):
        write(request.user, found, text)


def write(user: Any, found: Sequence[Any], text: str) -> None:
    """Write the entries of a user."""
    kind = ContentType.objects.get_for_model(found[0], for_concrete_model=False)
    # The names of rows, too, are not those of the language of whoever acted.
    with override(None):
        LogEntry.objects.bulk_create(
            LogEntry(
                user_id=user.pk,
                content_type_id=kind.pk,
                object_id=str(row.pk),
                object_repr=str(row)[:200],
                action_flag=CHANGE,
                change_message=text,
            )
            for row in found
        )


def entries_of(event: OutboxEvent, deliveries: Sequence[Delivery]) -> list[Any]:
    """Return what operators did to an event and these deliveries, the latest; two statements.

    Only the newest part of the log is looked at, and nothing that is older than the event.
    """
    # Its time is the publisher's, whose clock may be ahead.
    since = min(event.time, event.relayed_at or event.time) - SLACK
    kinds = ContentType.objects.get_for_models(OutboxEvent, Delivery)
    about = Q(content_type=kinds[OutboxEvent], object_id=str(event.pk))
    if deliveries:
        ids = [str(delivery.pk) for delivery in deliveries]
        about |= Q(content_type=kinds[Delivery], object_id__in=ids)
    return _latest(about & Q(action_time__gte=since))


def notes_on(subscriber: str, fingerprint: str) -> list[Any]:
    """Return what operators noted on a group, also what was changed or removed, the latest first.

    Two statements. A note that was removed has its name in the log, if that is not too long, and
    no other trace.
    """
    note = FailureNote(subscriber=subscriber, fingerprint=fingerprint)
    kind = ContentType.objects.get_for_model(FailureNote)
    return _latest(Q(content_type=kind, object_repr=str(note)))


def _latest(about: Q) -> list[Any]:
    """Return the latest of these entries, with their users."""
    newest = LogEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = LogEntry.objects.filter(about, pk__gt=newest - MAX_LOOKED_AT)
    return list(rows.select_related("user").order_by("-pk")[:MAX_ENTRIES])


def entry(verb: Verb, reason: str, heads: Mapping[Verb, str] = DONE) -> str:
    """Return what the log says of a verb that was done, or (with BEGUN) that a relay is to do."""
    return f"{heads[verb]}: {reason}" if reason else f"{heads[verb]}."


def sentence(operation: BulkOperation) -> str:
    """Return who had what done by a bulk operation, and why, in the reader's language."""
    return f"{operation.operator}: {translated(entry(Verb(operation.verb), operation.reason))}"


def told(text: str, operation: BulkOperation, left: Reach | None) -> str:
    """Return what the log says of a bulk operation that goes no further: `text`, with figures."""
    about = {"changed": operation.changed, "passed_over": operation.passed_over}
    number = f"{left.total}{MORE if left.partial else ''}" if left else UNTOLD
    return text % {**about, "left": number}


@receiver(signals.operation_ended, dispatch_uid="eda_django.admin")
def log_the_end(*, operation: BulkOperation, **_: Any) -> None:
    """Write what came of a bulk operation into the admin's log, as whoever began it."""
    users: Any = get_user_model()._default_manager
    user = users.filter(**{users.model.USERNAME_FIELD: operation.operator}).first()
    if user:
        write(user, [operation], told(ENDED, operation, operation.left()))


def translated(text: str) -> str:
    """Return an entry's text with its first words translated; the rest is names, and a reason."""
    for head, pattern in _FIGURES.items():
        if found := pattern.fullmatch(text):
            changed, passed_over = int(found["changed"]), int(found["passed_over"])
            figures = {"changed": changed, "passed_over": passed_over, "left": _left(found["left"])}
            return gettext(head) % figures
    for head in _HEADS:
        rest = text.removeprefix(head)
        if rest != text and not rest[:1].isalnum():
            return gettext(head) + rest
    return text


def _left(number: str) -> str:
    is_partial = number.endswith(MORE)
    return or_more(int(number.removesuffix(MORE))) if is_partial else number
