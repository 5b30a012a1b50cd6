"""Failures by cause: look at one, try one, then all; or discard them, with a reason."""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import MAX_NAME
from ..failures import site_frame_in
from ..models import Delivery, Failure, FailureNote
from ..models.bulk_operation import Verb
from ..models.groups import MAX_GROUPS, Group, groups
from ..models.locking import writing
from ..models.selection import Selection
from ..payloads import text_problem, without
from . import links
from .acting import MAX_AT_ONCE, Wish, ask, fulfil, is_meant, verb_of, verbs_for, written
from .bulk import start
from .display import badge, or_more, since, state_of
from .history import NOTED, UNNOTED, log, notes_on, translated
from .keyset import as_number
from .masking import secrets_of
from .readonly import PageAdmin
from .traces import shortened

# Deliveries of a group that its page lists, the newest ones.
LISTED = 20
MAX_FINGERPRINT = 32


@admin.register(Failure)
class FailureAdmin(PageAdmin):
    viewers = ("view_delivery",)
    template = "failures.html"
    title = gettext_lazy("Failures")

    def get_urls(self) -> list[Any]:
        return [
            *super().get_urls(),
            self.view("group/", self.group_view, "failure_group"),
            self.view("canary/", self.canary_view, "failure_canary"),
            self.view("act/", self.act_view, "failure_act"),
            self.view("note/", self.note_view, "failure_note"),
        ]

    def context(self, request: HttpRequest) -> dict[str, Any]:
        subscriber = request.GET.get("subscriber", "")
        found = [] if text_problem(subscriber) else groups(_using(), subscriber=subscriber)
        return {
            "groups": [self._shown(request, group) for group in found],
            "is_partial": any(group.partial for group in found),
            "most": MAX_GROUPS if len(found) >= MAX_GROUPS else 0,
            "subscriber": subscriber,
            "verbs": verbs_for(request.user),
        }

    def group_view(self, request: HttpRequest) -> HttpResponse:
        """Show one group, with an example and what can be done."""
        self.require(request)
        group = _group_of(_names_in(request.GET))
        if group is None:
            return _nothing_left(request)
        # Discarded ones are no failures any more; what runs may become one again.
        newest = _failing(group.subscriber, group.fingerprint).order_by("-pk")[:LISTED]
        return self.show(
            request,
            "failure_group.html",
            f"{group.subscriber}: {group.error_class}",
            group=self._shown(request, group),
            traceback=self._traceback(request, group),
            deliveries=[(row, badge(state_of(row))) for row in newest],
            verbs=verbs_for(request.user),
            may_note=self.may(request, "change_failurenote"),
            noted=[
                (one.action_time, one.user.get_username(), translated(one.change_message))
                for one in notes_on(group.subscriber, group.fingerprint)
            ],
        )

    def canary_view(self, request: HttpRequest) -> HttpResponse:
        """Retry the one of the group that the button named."""
        self.require(request)
        verb = verb_of(request)
        names = _names_in(request.POST)
        pk = as_number(request.POST.get("pk", ""))
        if verb == Verb.DISCARD or pk is None:
            raise Http404
        if not _failing(*names).filter(pk=pk).exists():
            text = _("Delivery %(number)s does not fail any more: nothing was done.")
            messages.warning(request, text % {"number": pk})
            return HttpResponseRedirect(_page_of(request, *names))
        back = links.page(request, "eda_django_delivery_change", pk)
        return fulfil(self, request, replace(Wish.of(request, ids=[pk]), back=back))

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Retry or discard the whole group, after asking."""
        self.require(request)
        verb = verb_of(request)
        group = _group_of(_names_in(request.POST))
        if group is None:
            return _nothing_left(request)
        if not is_meant(request, verb):
            back = _page_of(request, group.subscriber, group.fingerprint)
            about = {"group": group, "back": back, **_counts(group)}
            return ask(self, request, verb, "confirm_group.html", **about)
        # A selection without a fingerprint means any, so without one it is only so many at once.
        if group.count > MAX_AT_ONCE and group.fingerprint:
            chosen = Selection(subscriber=group.subscriber, fingerprint=group.fingerprint)
            return start(request, verb, chosen)
        rows = _failing(group.subscriber, group.fingerprint).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:MAX_AT_ONCE])
        back = links.page(request, "eda_django_failure_changelist")
        return fulfil(self, request, replace(Wish.of(request, ids=ids), back=back))

    def note_view(self, request: HttpRequest) -> HttpResponse:
        """Keep a note on the group, also on one that is empty by now; no text removes it."""
        self.require(request, "change_failurenote")
        if request.method != "POST":
            raise Http404
        names = _names_in(request.POST)
        if text := written(request, "text"):
            _keep_note(request, names, text)
            messages.success(request, _("The note is kept."))
        else:
            _remove_note(request, names)
            messages.success(request, _("The note is removed."))
        return HttpResponseRedirect(_page_of(request, *names))

    def _shown(self, request: HttpRequest, group: Group) -> dict[str, Any]:
        frame = error = ""
        # A traceback's frame is of the traceback, and the text of the error of the attempt.
        if self.may(request, "view_attempt"):
            frame = site_frame_in(group.attempt.traceback) if group.attempt else ""
            error = without(group.example.error_text, secrets_of(group.example.event))
        return {
            "group": group,
            **_counts(group),
            "frame": frame,
            "error": error,
            "since": since(group.since),
            "last_seen": since(group.last_seen),
            "url": _page_of(request, group.subscriber, group.fingerprint),
        }

    def _traceback(self, request: HttpRequest, group: Group) -> str:
        if not (group.attempt and self.may(request, "view_attempt")):
            return ""
        return shortened(without(group.attempt.traceback, secrets_of(group.example.event)))


def _counts(group: Group) -> dict[str, str]:
    """Return how many are dead, and how many are retried, as they are shown."""
    return {
        "dead": or_more(group.dead, is_partial="dead" in group.partial),
        "retrying": or_more(group.retrying, is_partial="retrying" in group.partial),
    }


def _names_in(query: Any) -> tuple[str, str]:
    """Return the subscriber and the fingerprint of a form or an address.

    Raises Http404 if no group can have these.
    """
    subscriber, fingerprint = query.get("subscriber", ""), query.get("fingerprint", "")
    is_long = len(subscriber) > MAX_NAME or len(fingerprint) > MAX_FINGERPRINT
    if not subscriber or is_long or text_problem(subscriber) or text_problem(fingerprint):
        raise Http404
    return subscriber, fingerprint


def _group_of(names: tuple[str, str]) -> Group | None:
    """Return the group, or None if it has nothing left."""
    subscriber, fingerprint = names
    found = groups(_using(), subscriber=subscriber, fingerprint=fingerprint)
    return found[0] if found and found[0].example is not None else None


def _failing(subscriber: str, fingerprint: str) -> Any:
    rows = Delivery.objects.filter(subscriber=subscriber, fingerprint=fingerprint)
    return rows.failing()


def _nothing_left(request: HttpRequest) -> HttpResponse:
    """Go on to what fails still; a colleague, or a retry, was quicker."""
    messages.warning(request, _("Nothing of this group fails any more."))
    return HttpResponseRedirect(links.page(request, "eda_django_failure_changelist"))


def _keep_note(request: HttpRequest, names: tuple[str, str], text: str) -> None:
    using = router.db_for_write(FailureNote)
    user: Any = request.user
    values = {"text": text, "author": user.get_username()}
    with writing(using):
        note, _made = FailureNote.objects.using(using).update_or_create(
            subscriber=names[0], fingerprint=names[1], defaults=values
        )
        log(request, [note], f"{NOTED}: {text}")


def _remove_note(request: HttpRequest, names: tuple[str, str]) -> None:
    using = router.db_for_write(FailureNote)
    with writing(using):
        notes = FailureNote.objects.using(using).filter(subscriber=names[0], fingerprint=names[1])
        for note in list(notes):
            log(request, [note], f"{UNNOTED}: {note.text}")
        notes.delete()


def _page_of(request: HttpRequest, subscriber: str, fingerprint: str) -> str:
    query = urlencode({"subscriber": subscriber, "fingerprint": fingerprint})
    return f"{links.page(request, 'eda_django_failure_group')}?{query}"


def _using() -> str:
    return str(Delivery.objects.db)
