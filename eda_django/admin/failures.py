"""Failures by cause: look at one, try one, then all; or discard them, with a reason."""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..failures import site_frame_in
from ..models import Delivery, Failure, FailureNote, Status
from ..models.bulk_operation import Verb
from ..models.groups import Group, groups
from ..models.selection import Selection
from ..payloads import text_problem
from .acting import MAX_AT_ONCE, Wish, ask, fulfil, is_meant, verb_of, verbs_for, written
from .bulk import start
from .display import badge, since, state_of
from .history import NOTED, log
from .masking import without_secrets
from .readonly import PageAdmin
from .traces import shortened

# Deliveries of a group that its page lists, the newest ones.
LISTED = 20


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
            "subscriber": subscriber,
            "verbs": verbs_for(request.user),
        }

    def group_view(self, request: HttpRequest) -> HttpResponse:
        """Show one group, with an example and what can be done."""
        self.require(request)
        group = _group_of(request.GET)
        # Discarded ones are no failures any more; what runs may become one again.
        rows = Delivery.objects.filter(subscriber=group.subscriber).failing()
        newest = rows.filter(fingerprint=group.fingerprint).order_by("-pk")[:LISTED]
        return self.show(
            request,
            "failure_group.html",
            f"{group.subscriber}: {group.error_class}",
            group=self._shown(request, group),
            deliveries=[(row, badge(state_of(row))) for row in newest],
            verbs=verbs_for(request.user),
            may_note=self.may(request, "change_failurenote"),
        )

    def canary_view(self, request: HttpRequest) -> HttpResponse:
        """Retry one of the group, the one that is shown as its example."""
        self.require(request)
        verb = verb_of(request)
        group = _group_of(request.POST)
        if verb == Verb.DISCARD:
            raise Http404
        is_dead = group.example.status == Status.DEAD
        rightful = Verb.RETRY if is_dead else Verb.RETRY_NOW
        post = request.POST.copy()
        post["verb"] = rightful
        post["back"] = reverse("admin:eda_django_delivery_change", args=[group.example.pk])
        request.POST = post  # type: ignore[assignment]
        return fulfil(self, request, Wish.of(request, ids=[group.example.pk]))

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Retry or discard the whole group, after asking."""
        self.require(request)
        verb = verb_of(request)
        group = _group_of(request.POST)
        if not is_meant(request, verb):
            return ask(self, request, verb, "confirm_group.html", group=group)
        selection = Selection(subscriber=group.subscriber, fingerprint=group.fingerprint)
        if group.count > MAX_AT_ONCE:
            return start(request, verb, selection)
        rows = selection.among(Delivery.objects.all()).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:MAX_AT_ONCE])
        back = reverse("admin:eda_django_failure_changelist")
        return fulfil(self, request, replace(Wish.of(request, ids=ids), back=back))

    def note_view(self, request: HttpRequest) -> HttpResponse:
        """Keep a note on the group; an empty one is removed."""
        self.require(request, "change_failurenote")
        if request.method != "POST":
            raise Http404
        group = _group_of(request.POST)
        text = written(request, "text")
        using = router.db_for_write(FailureNote)
        of = {"subscriber": group.subscriber, "fingerprint": group.fingerprint}
        notes = FailureNote.objects.using(using)
        user: Any = request.user
        if text:
            values = {"text": text, "author": user.get_username()}
            note, _made = notes.update_or_create(defaults=values, **of)
            log(request, [note], f"{NOTED}: {text}")
            messages.success(request, _("The note is kept."))
        else:
            notes.filter(**of).delete()
            messages.success(request, _("The note is removed."))
        return HttpResponseRedirect(_page_of(group))

    def _shown(self, request: HttpRequest, group: Group) -> dict[str, Any]:
        trace = ""
        if group.attempt and self.may(request, "view_attempt"):
            trace = shortened(without_secrets(group.attempt.traceback, group.example.event))
        return {
            "group": group,
            "frame": site_frame_in(group.attempt.traceback) if group.attempt else "",
            "error": without_secrets(group.example.error_text, group.example.event),
            "traceback": trace,
            "since": since(group.since),
            "last_seen": since(group.last_seen),
            "url": _page_of(group),
        }


def _group_of(query: Any) -> Group:
    """Return the group that a form or an address names. Raises Http404 if it has nothing left."""
    subscriber, fingerprint = query.get("subscriber", ""), query.get("fingerprint", "")
    if text_problem(subscriber) or text_problem(fingerprint) or not subscriber:
        raise Http404
    found = groups(_using(), subscriber=subscriber, fingerprint=fingerprint)
    if not found or found[0].example is None:
        raise Http404(_("Nothing of this group fails any more."))
    return found[0]


def _page_of(group: Group) -> str:
    query = urlencode({"subscriber": group.subscriber, "fingerprint": group.fingerprint})
    return f"{reverse('admin:eda_django_failure_group')}?{query}"


def _using() -> str:
    return str(Delivery.objects.db)
