"""Beginning a bulk operation: on all that a list's filter matches, or on a group of failures."""

import json
from typing import Any

from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import signals
from ..models import BulkOperation, Delivery
from ..models.bulk_operation import Verb, within_reach
from ..models.locking import writing
from ..models.selection import SAME_KEY, Selection
from . import links
from .acting import ask, back_of, is_meant, reason_of, verb_of
from .display import LABELS, counted
from .filters import AGES, selection_of
from .history import BEGUN, entry, log

# What the parts of a Selection are called.
NAMES = {
    "status": gettext_lazy("state"),
    "subscriber": gettext_lazy("subscription"),
    "queue": gettext_lazy("queue"),
    "error_class": gettext_lazy("error"),
    "fingerprint": gettext_lazy("cause"),
    "age": gettext_lazy("age"),
    "until_event": gettext_lazy("events before number"),
    "search": gettext_lazy("search"),
}
# Those whose values have names, too.
LABELLED = {
    "status": LABELS,
    "error_class": LABELS,
    "age": {name: label for name, (label, _length) in AGES.items()},
}


def begin(console: Any, request: HttpRequest) -> HttpResponse:
    """Ask, then begin an operation on what the form's `query` selects.

    Raises PermissionDenied for what the user may not do.
    """
    verb = verb_of(request)
    query = QueryDict(request.POST.get("query", ""))
    selection = selection_of(query)
    if selection is None:
        return HttpResponseRedirect(links.page(request, "eda_django_delivery_changelist"))
    if is_meant(request, verb):
        return start(request, verb, selection)
    reach = within_reach(Delivery.objects.all(), selection, verb)
    return ask(
        console,
        request,
        verb,
        "confirm_all.html",
        query=query.urlencode(),
        back=back_of(request),
        selected=in_words(selection),
        most=SAME_KEY if selection.is_cut(Delivery.objects.db) else 0,
        is_everything=not chosen_in(selection),
        reach=counted(reach.counts, reach.partial),
    )


def start(request: HttpRequest, verb: Verb, selection: Selection) -> HttpResponse:
    """Write the operation down, and its entry in the admin's log; a relay does the rest.

    Returns the way to its page.
    """
    using = router.db_for_write(BulkOperation)
    user: Any = request.user
    reason = reason_of(request)
    with writing(using):
        operation = BulkOperation.objects.using(using).begin(
            verb, selection, operator=user.get_username(), reason=reason
        )
        begun = entry(verb, reason, BEGUN)
        log(request, [operation], f"{begun} ({described(selection)})")
    signals.deliveries_released.send_robust(sender=None, using=using)
    page = links.page(request, "eda_django_bulkoperation_change", operation.pk)
    return HttpResponseRedirect(page)


def chosen_in(selection: Selection) -> dict[str, Any]:
    """Return what was chosen of a selection."""
    return {name: value for name, value in selection.as_json().items() if value}


def described(selection: Selection) -> str:
    """Return what is selected as the admin's log stores it: in words of no language."""
    return ", ".join(f"{name}={value}" for name, value in chosen_in(selection).items()) or "*"


def meant_by(operation: BulkOperation) -> str:
    """Return what an operation is about as operators read it; as stored if only newer code can."""
    if Selection.can_read(operation.selection):
        return in_words(Selection.of(operation.selection))
    return json.dumps(operation.selection, ensure_ascii=False, sort_keys=True)


def in_words(selection: Selection) -> str:
    """Return what is selected as operators read it."""
    shown = (
        f"{NAMES[name]}: {LABELLED[name].get(value, value) if name in LABELLED else value}"
        for name, value in chosen_in(selection).items()
    )
    return ", ".join(shown) or _("all")
