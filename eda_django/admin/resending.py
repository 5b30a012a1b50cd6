"""Sending an event again to chosen subscriptions, and publishing an edited copy of it."""

import json
from datetime import UTC
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import conf, signals
from ..events import current_event
from ..exceptions import EdaError
from ..models import Delivery, OutboxEvent
from ..models.locking import writing
from ..models.operator_verbs import Before, Resent
from ..outbox import publish
from ..payloads import Stray, StrayMasks, unmasked
from ..registry import registry
from . import links
from .acting import MAX_REASON
from .display import LABELS
from .history import COPIED, EDITED, RESENT, log
from .masking import to_edit

# The header of an edited copy that names the event it was made of.
COPY_OF = "eda_django_copy_of"


class ResendForm(forms.Form):
    """To whom, and why."""

    # What a second press of the button is known by: sending again gives the event another stamp.
    seen = forms.CharField(widget=forms.HiddenInput, required=False)
    subscribers = forms.MultipleChoiceField(
        label=gettext_lazy("Subscriptions"), widget=forms.CheckboxSelectMultiple
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=MAX_REASON, required=False)

    def __init__(self, event: OutboxEvent, data: Any = None) -> None:
        super().__init__(data, initial={"seen": _stamp(event)})
        states = dict(event.deliveries.values_list("subscriber", "status"))
        never = _("never got it")
        field: Any = self.fields["subscribers"]
        field.choices = [
            (s.name, f"{s.name} ({LABELS.get(states.get(s.name, ''), never)})")
            for s in registry.matching(event.type)
        ]


class EditForm(forms.Form):
    """The payload as JSON, and why."""

    # What a second press of the button is known by.
    once = forms.UUIDField(widget=forms.HiddenInput)
    payload = forms.CharField(
        label=gettext_lazy("Payload"),
        widget=forms.Textarea(attrs={"rows": 20, "cols": 80, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "A masked value that is left as it is keeps its real value. What follows the *** says "
            "where that value stands in this event, and goes with a field that is moved."
        ),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=MAX_REASON)

    def __init__(self, event: OutboxEvent, data: Any = None) -> None:
        super().__init__(data, initial={"payload": to_edit(event.data), "once": uuid4()})
        self._original = event.data

    def clean_payload(self) -> Any:
        try:
            tree = json.loads(self.cleaned_data["payload"])
            if not isinstance(tree, dict):
                raise forms.ValidationError(_("A payload is a JSON object, in braces."))
            return unmasked(tree, self._original)
        except StrayMasks as error:
            raise forms.ValidationError([_problem(stray) for stray in error.strays]) from error
        except ValueError as error:
            raise forms.ValidationError(_("This is not JSON: %s") % error) from error
        except RecursionError as error:
            raise forms.ValidationError(_("This is nested too deep.")) from error


def _problem(stray: Stray) -> str:
    if stray.is_open:
        text = _(
            "Field %(field)s has the mask of a value that is not to be shown, and is a field that "
            "is shown. Move the mask back, or take it out."
        )
    else:
        text = _(
            "Field %(field)s has a mask that names no value of this event. Leave it as the form "
            "had it, address and all, or write the value itself."
        )
    return text % {"field": stray.field}


def resend_view(console: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask to whom; ask again if that is more than one; send to them."""
    console.require(request, "resend_outboxevent")
    event = _event(pk)
    form = ResendForm(event, request.POST if request.method == "POST" else None)
    page = {"event": event, "original": event}
    answer: HttpResponse
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        is_seen = bool(wanted["seen"]) and wanted["seen"] == _stamp(event)
        if is_seen and len(wanted["subscribers"]) > 1 and "confirmed" not in request.POST:
            back = links.page(request, "eda_django_outboxevent_resend", event.pk)
            page |= {"wanted": wanted, "reason": wanted["reason"], "back": back}
            answer = console.show(request, "confirm_resend.html", _("Resend"), **page)
            return answer
        _tell(request, event, _resend(request, event, wanted) if is_seen else None)
        return HttpResponseRedirect(_page_of(request, event))
    answer = console.show(request, "resend.html", _("Resend"), form=form, **page)
    return answer


def _stamp(event: OutboxEvent) -> str:
    return event.relayed_at.isoformat() if event.relayed_at else ""


def edit_view(console: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for a new payload; publish it as a new event."""
    console.require(request, "edit_outboxevent")
    if not conf.get("EDIT_AND_RESEND"):
        raise Http404
    event = _event(pk)
    form = EditForm(event, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            copy, is_new = _publish_copy(request, event, form.cleaned_data)
        except (EdaError, ValueError) as error:
            form.add_error("payload", str(error))
        else:
            _tell_of_copy(request, copy, is_new=is_new)
            return HttpResponseRedirect(_page_of(request, copy))
    recipients = [subscription.name for subscription in registry.matching(event.type)]
    page: HttpResponse = console.show(
        request,
        "edit.html",
        _("Edit and resend"),
        event=event,
        original=event,
        form=form,
        recipients=recipients,
    )
    return page


def _resend(request: HttpRequest, event: OutboxEvent, wanted: dict[str, Any]) -> Resent | None:
    """Send it, unless somebody else does: of two that saw the same stamp, one."""
    using = router.db_for_write(Delivery)
    queues = {
        s.name: s.queue or conf.get("QUEUE")
        for s in registry.matching(event.type)
        if s.name in wanted["subscribers"]
    }
    with writing(using):
        if not OutboxEvent.objects.using(using).take_to_resend(event.pk, event.relayed_at):
            return None
        resent: Resent = Delivery.objects.using(using).resend(event.pk, queues, key=event.key)
        _log(request, event, resent, wanted["reason"])
    signals.deliveries_released.send_robust(sender=None, using=using)
    return resent


def _log(request: HttpRequest, event: OutboxEvent, resent: Resent, reason: str) -> None:
    """Write who got it again into the admin's log: of the event, and of each delivery."""
    to = {one.subscriber: _with_end(one) for one in resent.again}
    to |= {name: name for name in resent.new}
    if not to:
        return
    because = f": {reason}" if reason else ""
    log(request, [event], f"{RESENT} {', '.join(to.values())}{because}")
    for row in event.deliveries.using(router.db_for_write(Delivery)).filter(subscriber__in=to):
        log(request, [row], f"{RESENT} {to[row.subscriber]}{because}")


def _with_end(before: Before) -> str:
    """Name a delivery with how, and when, it had ended: its row has lost that."""
    if not before.finished_at:
        return f"{before.subscriber} ({before.status})"
    at = before.finished_at.astimezone(UTC)
    return f"{before.subscriber} ({before.status} {at:%Y-%m-%d %H:%M:%S} UTC)"


def _publish_copy(
    request: HttpRequest, event: OutboxEvent, wanted: dict[str, Any]
) -> tuple[OutboxEvent, bool]:
    """Return the copy, and whether it is new: a form that is sent twice publishes once."""
    headers = {**event.headers, COPY_OF: str(event.event_id)}
    using = router.db_for_write(OutboxEvent)
    rows = OutboxEvent.objects.using(using)
    once = f"edited-copy-{wanted['once']}"
    # The original is the cause: the copy stands below it in the tree.
    token = current_event.set(event.envelope(None))
    try:
        with writing(using):
            # Whoever presses twice waits here, and then sees what the first press has made.
            rows.select_for_update().filter(pk=event.pk).first()
            if first := rows.filter(type=event.type, idempotency_key=once).first():
                return first, False
            made = publish(
                event.type,
                wanted["payload"],
                key=event.key or None,
                headers=headers,
                idempotency_key=once,
                using=using,
            )
            copy: OutboxEvent = rows.get(event_id=made.id)
            log(request, [copy], f"{COPIED} {event.event_id}: {wanted['reason']}")
            log(request, [event], f"{EDITED} {copy.event_id}: {wanted['reason']}")
    finally:
        current_event.reset(token)
    return copy, True


def _tell_of_copy(request: HttpRequest, copy: OutboxEvent, *, is_new: bool) -> None:
    about = {"id": copy.event_id}
    if is_new:
        messages.success(request, _("Published as a new event, %(id)s, from this one.") % about)
        return
    text = _("The form was sent before, and published %(id)s then. Nothing was published now.")
    messages.warning(request, text % about)


def _tell(request: HttpRequest, event: OutboxEvent, resent: Resent | None) -> None:
    if event.relayed_at is None:
        messages.error(request, _("The event was not fanned out yet."))
        return
    if resent is None:
        text = _("The event was sent again since you opened the form, or is gone.")
        messages.error(request, f"{text} {_('Nothing was sent now.')}")
        return
    count = len(resent.again) + len(resent.new)
    text = ngettext(
        "The event goes to %(count)d subscription again.",
        "The event goes to %(count)d subscriptions again.",
        count,
    ) % {"count": count}
    if resent.under_way:
        rest = _("Left alone, because it is under way: %(names)s.")
        text = f"{text} {rest % {'names': ', '.join(resent.under_way)}}"
    messages.add_message(request, messages.SUCCESS if count else messages.WARNING, text)


def _event(pk: int) -> Any:
    event = OutboxEvent.objects.filter(pk=pk).first()
    if event is None:
        raise Http404
    return event


def _page_of(request: HttpRequest, event: OutboxEvent) -> str:
    return links.page(request, "eda_django_outboxevent_change", event.pk)
