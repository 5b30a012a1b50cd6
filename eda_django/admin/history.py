"""What the admin's log says: stored in English for everyone, and read in the reader's language."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop, override

from ..models.operation import Verb

DONE = {
    Verb.RETRY: gettext_noop("Retried"),
    Verb.RETRY_NOW: gettext_noop("Retried now"),
    Verb.DISCARD: gettext_noop("Discarded"),
}
RESENT = gettext_noop("Resent to")
COPIED = gettext_noop("Published by hand as an edited copy of")
EDITED = gettext_noop("Edited and resent as")
NOTED = gettext_noop("Noted")
CANCELLED = gettext_noop("Cancelled")
# The longer first: one begins as another does.
_HEADS = sorted((*DONE.values(), RESENT, COPIED, EDITED, NOTED, CANCELLED), key=len, reverse=True)


def log(request: HttpRequest, rows: Iterable[Any], text: str) -> None:
    """Write an entry for each row into the admin's log; `text` begins with words from above."""
    found = list(rows)
    if not found:
        return
    user: Any = request.user
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


def entry(verb: Verb, reason: str) -> str:
    """Return what the log says of a verb."""
    return f"{DONE[verb]}: {reason}" if reason else f"{DONE[verb]}."


def translated(text: str) -> str:
    """Return an entry's text with its first words translated; the rest is names, and a reason."""
    for head in _HEADS:
        rest = text.removeprefix(head)
        if rest != text and not rest[:1].isalnum():
            return gettext(head) + rest
    return text
