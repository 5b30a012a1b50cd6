"""Events: the list, and a page for each with all that is known of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from .. import conf
from ..models import Attempt, Delivery, OutboxEvent, search
from ..models.family import family_of
from ..models.past_operations import past_operations
from ..models.progress import Progress, progress_of
from ..payloads import text_problem, without
from .acting import verbs_for
from .attempts import latest, shown
from .deliveries import is_for
from .display import badge, breakable, column, state_of
from .filters import EventStateFilter, PeriodFilter, SourceFilter, TypeFilter, lowest_of
from .history import entries_of
from .keyset import KeysetAdmin, KeysetChangeList
from .masking import as_json, secrets_of
from .resending import COPY_OF, edit_view, resend_view
from .timeline import timeline

# On a page. Few events have as many; the list of deliveries has the rest.
MAX_DELIVERIES = 200
# The attribute of a request whose search did not look at all that the term may mean.
IS_CUT = "eda_django_search_is_cut"


class EventChangeList(KeysetChangeList):
    """Adds to the events of a page how far their deliveries are."""

    # How many events of a search were looked at, where there may be more.
    most_found = 0

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        progress = progress_of([event.pk for event in self.result_list], self.queryset.db)
        for event in self.result_list:
            event.progress = progress.get(event.pk, Progress())
        if getattr(request, IS_CUT, False):
            self.most_found = search.MAX_FOUND


@admin.display(description=gettext_lazy("type, key"))
def what(event: OutboxEvent) -> SafeString:
    """Return the type, and below it the key: a column more would hide what is wrong."""
    return below(breakable(event.type), event.key or "")


# The class of its cells, for the style sheet.
what.__name__ = "type"


def below(first: SafeString, second: str) -> SafeString:
    if not second:
        return first
    return format_html('{}<br><span class="quiet">{}</span>', first, second)


@admin.register(OutboxEvent)
class EventAdmin(KeysetAdmin):
    viewers = ("view_outboxevent",)
    list_display = (
        what,
        "worst",
        "done",
        column("time", gettext_lazy("time")),
        column("event_id", gettext_lazy("event id")),
    )
    list_filter = (EventStateFilter, PeriodFilter, SourceFilter, TypeFilter)
    search_fields = ("event_id",)
    search_help_text = gettext_lazy(
        "An event's id, its key, its correlation id or its idempotency key, exactly."
    )

    def get_urls(self) -> list[Any]:
        return [
            self.view("<int:pk>/resend/", self.resend_view, "outboxevent_resend"),
            self.view("<int:pk>/edit/", self.edit_view, "outboxevent_edit"),
            *super().get_urls(),
        ]

    def resend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return resend_view(self, request, pk)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return edit_view(self, request, pk)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return EventChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("data", "headers")

    def reach(self, changes: Any) -> dict[str, Any]:
        state = changes.params.get(EventStateFilter.parameter_name)
        narrow = bool(changes.query.strip()) or state in EventStateFilter.NARROW
        lowest = lowest_of(changes.params.get("period"), changes.queryset.db)
        return {"is_narrow": narrow, "lowest": lowest}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if text_problem(term):
            return queryset.none(), False
        found, is_cut = search.events_found(queryset, term)
        # The list of this request tells of it.
        setattr(request, IS_CUT, is_cut)
        return found, False

    @admin.display(description=gettext_lazy("delivered"))
    def done(self, event: Any) -> str:
        return f"{event.progress.done} / {event.progress.total}" if event.progress.total else ""

    @admin.display(description=gettext_lazy("state"))
    def worst(self, event: Any) -> str:
        return below(badge(event_state(event, event.progress)), event.error)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        sees_deliveries = self.may(request, "view_delivery")
        deliveries = list(row.deliveries.order_by("pk")[:MAX_DELIVERIES]) if sees_deliveries else []
        failed = Attempt.objects.filter(delivery__event=row)
        sees_attempts = sees_deliveries and self.may(request, "view_attempt")
        attempts, older = latest(failed if sees_attempts else failed.none())
        family = family_of(row)
        progress = progress_of([event.pk for event in family.events], row._state.db)
        own = progress.get(row.pk, Progress())
        for event in family.events:
            event.progress = progress.get(event.pk, Progress())
            event.badge = badge(event_state(event, event.progress))
        return self.show(
            request,
            "event.html",
            row.type,
            event=row,
            original=row,
            payload=as_json(row.data),
            sent_headers=as_json(row.headers),
            copy_of=row.headers.get(COPY_OF, "") if isinstance(row.headers, dict) else "",
            state=badge(event_state(row, own)),
            timeline=timeline(
                row,
                deliveries,
                attempts,
                entries_of(row, deliveries),
                operations=past_operations(row, deliveries),
                total=own.total,
            ),
            deliveries=self._with_attempts(request, row, deliveries, attempts),
            more_deliveries=own.total - len(deliveries),
            sees_deliveries=sees_deliveries,
            older=older,
            family=family,
            may_resend=self.may(request, "resend_outboxevent") and row.relayed_at is not None,
            may_edit=conf.get("EDIT_AND_RESEND") and self.may(request, "edit_outboxevent"),
        )

    def _with_attempts(
        self,
        request: HttpRequest,
        event: OutboxEvent,
        deliveries: list[Delivery],
        attempts: list[Any],
    ) -> list[dict[str, Any]]:
        verbs, secrets = verbs_for(request.user), secrets_of(event)
        sees_texts = self.may(request, "view_attempt")
        return [
            {
                "row": delivery,
                "state": badge(state_of(delivery)),
                "error": without(delivery.error_text, secrets) if sees_texts else "",
                "verbs": [verb for verb in verbs if is_for(verb, delivery)],
                "attempts": [shown(a, secrets) for a in attempts if a.delivery_id == delivery.pk],
            }
            for delivery in deliveries
        ]

    def whole_rows(self) -> Any:
        return OutboxEvent.objects.all()


def event_state(event: OutboxEvent, progress: Progress) -> str:
    """Return the worst state of the event's deliveries, or why it has none."""
    if progress.worst:
        return progress.worst
    if event.relayed_at is None:
        return "aside" if event.error else "new"
    return "nobody"
