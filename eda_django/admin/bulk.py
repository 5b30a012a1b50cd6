"""Beginning a bulk operation: on all that a list's filter matches, or on a group of failures."""

from typing import Any

from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import signals
from ..models import BulkOperation, Delivery
from ..models.bulk_operation import COUNTED, Verb, within_reach
from ..models.locking import writing
from ..models.selection import Selection
from .acting import EXPLANATIONS, back_of, reason_of, verb_of
from .display import counted
from .history import entry, log


def begin(console: Any, request: HttpRequest) -> HttpResponse:
    """Ask, then begin an operation on what the form's `query` selects.

    Raises PermissionDenied for what the user may not do.
    """
    from .deliveries import selection_of

    verb = verb_of(request)
    query = QueryDict(request.POST.get("query", ""))
    selection = selection_of(query)
    if selection is None:
        return HttpResponseRedirect(reverse("admin:eda_django_delivery_changelist"))
    reason = reason_of(request)
    needs_reason = verb == Verb.DISCARD
    if "confirmed" not in request.POST or (needs_reason and not reason):
        complaint = _("Say why: it goes into the log.")
        return _ask(
            console,
            request,
            verb=verb,
            query=query.urlencode(),
            selected=described(selection),
            reach=counted(within_reach(selection.among(Delivery.objects.all()), verb), COUNTED),
            needs_reason=needs_reason,
            complaint=complaint if "confirmed" in request.POST else "",
        )
    operation = start(request, verb, selection, reason)
    return HttpResponseRedirect(
        reverse("admin:eda_django_bulkoperation_change", args=[operation.pk])
    )


def start(request: HttpRequest, verb: Verb, selection: Selection, reason: str) -> Any:
    """Write the operation down, and its entry in the admin's log; a relay does the rest."""
    using = router.db_for_write(BulkOperation)
    user: Any = request.user
    with writing(using):
        operation = BulkOperation.objects.using(using).begin(
            verb, selection, operator=user.get_username(), reason=reason
        )
        log(request, [operation], f"{entry(verb, reason)} ({described(selection)})")
    signals.deliveries_released.send_robust(sender=None, using=using)
    return operation


def described(selection: Selection) -> str:
    """Return what is selected, as text: names and values of what was chosen."""
    chosen = {name: value for name, value in selection.as_json().items() if value}
    return ", ".join(f"{name}={value}" for name, value in chosen.items()) or "*"


def _ask(console: Any, request: HttpRequest, *, verb: Verb, **context: Any) -> HttpResponse:
    page: HttpResponse = console.show(
        request,
        "confirm_all.html",
        verb.label,
        verb=verb,
        explanation=EXPLANATIONS[verb],
        back=back_of(request),
        reason=reason_of(request),
        is_everything=context["selected"] == "*",
        **context,
    )
    return page
