"""Doing to deliveries what an operator asked for: checked, asked again, logged, told exactly."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import signals
from ..models import Delivery
from ..models.bulk_operation import Verb, act
from ..models.locking import writing
from . import links
from .display import counted, state_of
from .history import entry, log
from .keyset import as_number

PERMISSIONS: Mapping[str, str] = {
    Verb.RETRY: "retry_delivery",
    Verb.RETRY_NOW: "retry_delivery_now",
    Verb.DISCARD: "discard_delivery",
}
EXPLANATIONS = {
    Verb.RETRY: gettext_lazy(
        "A dead delivery gets all its attempts again, and goes out at once. Others are passed over."
    ),
    Verb.RETRY_NOW: gettext_lazy(
        "A delivery that waits for its next attempt goes out at once. Others are passed over."
    ),
    Verb.DISCARD: gettext_lazy(
        "A delivery that waits, is queued or is dead is dropped for good. What runs or is finished "
        "is passed over."
    ),
}
# Deliveries that one request acts on at most. The lists send fewer.
MAX_CHOSEN = 1_000
# Of a group that has more, the rest would be waited for without a word of how far it is.
MAX_AT_ONCE = 100
SHOWN = 50
MAX_REASON = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A verb, what it is for, why, and where to go on afterwards."""

    verb: Verb
    ids: Sequence[int]
    reason: str
    back: str

    @classmethod
    def of(cls, request: HttpRequest, *, ids: Sequence[int] | None = None) -> "Wish":
        """Read one from a form. Raises PermissionDenied for what the user may not do."""
        verb = verb_of(request)
        if ids is None:
            numbers = map(as_number, request.POST.getlist("ids"))
            ids = [pk for pk in numbers if pk is not None][:MAX_CHOSEN]
        return cls(verb=verb, ids=ids, reason=reason_of(request), back=back_of(request))

    @property
    def must_ask(self) -> bool:
        return len(self.ids) > 1 or self.verb == Verb.DISCARD


def verb_of(request: HttpRequest) -> Verb:
    """Return the verb of a form. Raises PermissionDenied unless this user may use it, by POST."""
    if request.method != "POST" or request.POST.get("verb") not in Verb.values:
        raise PermissionDenied
    verb = Verb(request.POST["verb"])
    user: Any = request.user
    if not user.has_perm(f"eda_django.{PERMISSIONS[verb]}"):
        raise PermissionDenied
    return verb


def permissions_for(verb: str) -> Sequence[str]:
    """Return what a user needs for a verb: everything, if only newer code knows it."""
    return [PERMISSIONS[verb]] if verb in PERMISSIONS else list(PERMISSIONS.values())


def verbs_for(user: Any) -> list[Verb]:
    """Return what this user may do to deliveries."""
    return [verb for verb in Verb if user.has_perm(f"eda_django.{PERMISSIONS[verb]}")]


def written(request: HttpRequest, name: str) -> str:
    """Return a text of a form. Databases refuse NUL, and it is for people."""
    return request.POST.get(name, "").replace("\x00", "").strip()[:MAX_REASON]


def reason_of(request: HttpRequest) -> str:
    return written(request, "reason")


def is_meant(request: HttpRequest, verb: Verb) -> bool:
    """Whether the operator has confirmed it, with a reason where one is needed."""
    return "confirmed" in request.POST and (verb != Verb.DISCARD or bool(reason_of(request)))


def ask(
    console: Any, request: HttpRequest, verb: Verb, template: str, **context: Any
) -> HttpResponse:
    """Show the page that asks whether a verb is really meant, and why."""
    needs_reason, is_confirmed = verb == Verb.DISCARD, "confirmed" in request.POST
    page: HttpResponse = console.show(
        request,
        template,
        verb.label,
        verb=verb,
        explanation=EXPLANATIONS[verb],
        reason=reason_of(request),
        needs_reason=needs_reason,
        complaint=_("Say why: it goes into the log.") if needs_reason and is_confirmed else "",
        **context,
    )
    return page


def back_of(request: HttpRequest) -> str:
    """Return where a form wants to go on: a path of this site."""
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/"):
        return back
    return links.page(request, "eda_django_delivery_changelist")


def fulfil(console: Any, request: HttpRequest, wish: Wish) -> HttpResponse:
    """Do it, or ask first whether that is really meant."""
    if wish.must_ask and not is_meant(request, wish.verb):
        return _ask(console, request, wish)
    using = router.db_for_write(Delivery)
    rows: Any = Delivery.objects.using(using)
    with writing(using):
        changed = act(rows.filter(pk__in=wish.ids), wish.verb, wish.reason)
        log(request, rows.filter(pk__in=changed), entry(wish.verb, wish.reason))
    signals.deliveries_released.send_robust(sender=None, using=using)
    say(request, wish.verb, len(changed), len(set(wish.ids)) - len(changed))
    return HttpResponseRedirect(wish.back)


def _ask(console: Any, request: HttpRequest, wish: Wish) -> HttpResponse:
    rows = Delivery.objects.filter(pk__in=wish.ids).order_by("-pk")
    count = len(set(wish.ids))
    return ask(
        console,
        request,
        wish.verb,
        "confirm.html",
        ids=wish.ids,
        back=wish.back,
        deliveries=rows.select_related("event").defer("event__data", "event__headers")[:SHOWN],
        count=count,
        states=counted(Counter(map(state_of, rows.only("status", "attempts")))),
        more=max(count - SHOWN, 0),
    )


def say(request: HttpRequest, verb: str, changed: int, passed_over: int) -> None:
    """Tell the operator what happened to how many."""
    level = messages.SUCCESS if changed else messages.WARNING
    messages.add_message(request, level, outcome(verb, changed, passed_over))


def outcome(verb: str, changed: int, passed_over: int) -> str:
    if verb == Verb.RETRY:
        done = ngettext(
            "%(count)d delivery is retried.", "%(count)d deliveries are retried.", changed
        )
    elif verb == Verb.RETRY_NOW:
        done = ngettext(
            "%(count)d delivery goes out now.", "%(count)d deliveries go out now.", changed
        )
    elif verb == Verb.DISCARD:
        done = ngettext(
            "%(count)d delivery was discarded.", "%(count)d deliveries were discarded.", changed
        )
    else:
        # Of newer code, which alone has a word for it.
        done = ngettext(
            "It was done to %(count)d delivery.", "It was done to %(count)d deliveries.", changed
        )
    text = done % {"count": changed}
    if passed_over:
        rest = ngettext(
            "%(count)d was passed over: it is not in a state for that, or in a worker's hands.",
            "%(count)d were passed over: they are not in a state for that, or in a worker's hands.",
            passed_over,
        )
        text = f"{text} {rest % {'count': passed_over}}"
    return text
