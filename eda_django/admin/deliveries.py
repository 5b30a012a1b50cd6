"""Deliveries: the list, with its actions, and a page for each."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Attempt, Delivery, OutboxEvent, Status
from ..models.bulk_operation import STATES, Verb
from ..models.past_operations import past_operations
from ..models.selection import SAME_KEY
from ..models.status import FINISHED
from ..payloads import without
from . import links
from .acting import PERMISSIONS, Wish, fulfil, verbs_for
from .attempts import latest, shown
from .bulk import begin
from .display import badge, breakable, column, last_part, state_of
from .filters import (
    AgeFilter,
    ErrorFilter,
    QueueFilter,
    StatusFilter,
    SubscriberFilter,
    selection_of,
)
from .history import sentence
from .keyset import KeysetAdmin, KeysetChangeList
from .masking import as_json, secrets_of


class DeliveryChangeList(KeysetChangeList):
    """Shows what the selection means, so that a bulk operation acts on what was seen."""

    # How many events of a key were looked at, where there may be more.
    most_of_key = 0

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        self.selection = selection_of(request.GET)
        rows = super().get_queryset(request, *args, **kwargs)
        return rows.none() if self.selection is None else self.selection.among(rows)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.selection and self.selection.is_cut(self.queryset.db):
            self.most_of_key = SAME_KEY
        # No time of its own says since when a queued one waits.
        queued = [row for row in self.result_list if row.status == Status.QUEUED]
        if queued:
            events = OutboxEvent.objects.filter(pk__in={row.event_id for row in queued})
            times = dict(events.values_list("pk", "time"))
            for row in queued:
                row.published_at = times.get(row.event_id)


@admin.display(description=gettext_lazy("subscriber, key"))
def whose(delivery: Delivery) -> SafeString:
    """Return the subscriber, and below it the key: a column more would hide what is wrong."""
    name = breakable(delivery.subscriber)
    if not delivery.key:
        return name
    return format_html('{}<br><span class="quiet">{}</span>', name, delivery.key)


# The class of its cells, for the style sheet.
whose.__name__ = "subscriber"


def action(verb: Verb) -> Callable[..., HttpResponse]:
    """Return the list's action for a verb."""

    @admin.action(description=verb.label, permissions=[verb.value])
    def run(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return HttpResponseRedirect("") if not chosen else model_admin.ask(request, verb, chosen)

    run.__name__ = str(verb.value)
    return run


@admin.register(Delivery)
class DeliveryAdmin(KeysetAdmin):
    scripts = ("eda_django/console.js",)
    viewers = ("view_delivery",)
    list_display = (
        "name",
        "state",
        whose,
        "when",
        column("error_class", gettext_lazy("error"), last_part),
        column("attempts", gettext_lazy("attempts")),
        column("queue", gettext_lazy("queue")),
    )
    list_filter = (StatusFilter, SubscriberFilter, QueueFilter, ErrorFilter, AgeFilter)
    also_asked = ("fingerprint",)
    search_fields = ("id",)
    search_help_text = gettext_lazy("An event's id, a key or a delivery's number, exactly.")
    actions = [action(verb) for verb in Verb]

    def get_urls(self) -> list[Any]:
        return [
            self.view("act/", self.act_view, "delivery_act"),
            self.view("act-on-all/", self.all_view, "delivery_act_on_all"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return DeliveryChangeList

    def reach(self, changes: Any) -> dict[str, Any]:
        if changes.selection is None or changes.selection.is_narrow:
            return {"is_narrow": True}
        return {"highest": changes.selection.highest(changes.queryset.db)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # The selection has done it.
        return queryset, False

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        # Not those of the whole site: they know nothing of states. From Django 6.1 on a page of one
        # row may have actions, too; ours are asked for with its buttons.
        where = {"action_location": action_location} if action_location else {}
        found = super().get_actions(request, **where)
        return {verb.value: found[verb.value] for verb in Verb if verb.value in found}

    # One permission for each action

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, PERMISSIONS[Verb.RETRY])

    def has_retry_now_permission(self, request: HttpRequest) -> bool:
        return self.may(request, PERMISSIONS[Verb.RETRY_NOW])

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return self.may(request, PERMISSIONS[Verb.DISCARD])

    # Columns

    @admin.display(description=gettext_lazy("delivery"))
    def name(self, delivery: Delivery) -> str:
        return f"#{delivery.pk}"

    @admin.display(description=gettext_lazy("state"))
    def state(self, delivery: Delivery) -> str:
        return badge(state_of(delivery))

    @admin.display(description=gettext_lazy("ended, started or due"))
    def when(self, delivery: Delivery) -> Any:
        published_at = getattr(delivery, "published_at", None)
        if delivery.status == Status.QUEUED and published_at:
            at = date_format(timezone.localtime(published_at), "DATETIME_FORMAT")
            return _("published %(time)s") % {"time": at}
        return delivery.finished_at or delivery.due_at or delivery.started_at

    # Views

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "verbs": verbs_for(request.user),
            "act_on_all_url": links.page(request, "eda_django_delivery_act_on_all"),
            "query": request.GET.urlencode(),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def ask(self, request: HttpRequest, verb: Verb, chosen: list[str]) -> HttpResponse:
        """Go on from the list's own form, to come back to the same list."""
        post = request.POST.copy()
        post.update({"verb": verb, "back": request.get_full_path()})
        post.setlist("ids", chosen)
        request.POST = post  # type: ignore[assignment]
        return fulfil(self, request, Wish.of(request))

    def act_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request)
        return fulfil(self, request, Wish.of(request))

    def all_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request)
        return begin(self, request)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        event = row.event
        may_see_attempts = self.may(request, "view_attempt")
        failed = (
            Attempt.objects.filter(delivery=row) if may_see_attempts else Attempt.objects.none()
        )
        attempts, older = latest(failed)
        secrets = secrets_of(event)
        return self.show(
            request,
            "delivery.html",
            _("Delivery %(number)s") % {"number": row.pk},
            delivery=row,
            event=event,
            original=row,
            state=badge(state_of(row)),
            is_moving=row.status not in (*FINISHED, Status.DEAD),
            error=without(row.error_text, secrets),
            attempts=[shown(attempt, secrets) for attempt in attempts],
            older=older,
            may_see_attempts=may_see_attempts,
            may_see_event=self.may(request, "view_outboxevent"),
            payload=as_json(event.data),
            verbs=[verb for verb in verbs_for(request.user) if is_for(verb, row)],
            operations=[(one, sentence(one)) for one, _rows in past_operations(event, [row])],
        )

    def whole_rows(self) -> Any:
        return Delivery.objects.select_related("event")


def is_for(verb: Verb, delivery: Delivery) -> bool:
    """Whether it makes sense to offer the verb for a delivery in this state."""
    return delivery.status in STATES[verb]
