"""The lists of events, deliveries and relays, and a page for each row."""

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..models import Attempt, Delivery, OutboxEvent, RelayHeartbeat, Status
from ..payloads import masked, redacted_values, text_problem, without
from ..registry import registry
from .readonly import ReadOnlyAdmin

if TYPE_CHECKING:
    DeliveryRows = admin.TabularInline[Delivery, OutboxEvent]
    AttemptRows = admin.StackedInline[Attempt, Delivery]
else:
    DeliveryRows, AttemptRows = admin.TabularInline, admin.StackedInline


class StateFilter(admin.SimpleListFilter):
    """Where an event is on its way."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("new", "not relayed yet"), ("aside", "no code knows it"), ("relayed", "relayed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "new":
            return queryset.filter(relayed_at=None)
        if self.value() == "aside":
            return queryset.filter(relayed_at=None).exclude(error="")
        if self.value() == "relayed":
            return queryset.exclude(relayed_at=None)
        return queryset


class NameFilter(admin.SimpleListFilter):
    """Names that the running code knows; asking the table for them would read all of it."""

    names: Callable[[], Iterable[str]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(self.names())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (name := self.value()):
            return queryset
        # An address typed by hand may hold what PostgreSQL refuses to look for.
        if text_problem(name):
            return queryset.none()
        return queryset.filter(**{str(self.parameter_name): name})


class TypeFilter(NameFilter):
    title = "type"
    parameter_name = "type"
    names = registry.type_names


class SubscriberFilter(NameFilter):
    title = "subscriber"
    parameter_name = "subscriber"
    names = registry.names


class StatusFilter(NameFilter):
    title = "status"
    parameter_name = "status"
    names = staticmethod(lambda: Status.values)


class DeliveryInline(DeliveryRows):
    model = Delivery
    fields = ("subscriber", "queue", "status", "attempts", "due_at", "finished_at", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related("event")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="error")
    def error(self, delivery: Delivery) -> str:
        return _without_secrets(delivery.error_text, delivery.event)


class AttemptInline(AttemptRows):
    model = Attempt
    fields = ("number", "worker", "started_at", "finished_at", "error_class", "error", "trace")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).select_related("delivery__event")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="error")
    def error(self, attempt: Attempt) -> str:
        return _without_secrets(attempt.error_text, attempt.delivery.event)

    @admin.display(description="traceback")
    def trace(self, attempt: Attempt) -> SafeString:
        text = _without_secrets(attempt.traceback, attempt.delivery.event)
        return format_html("<pre>{}</pre>", text)


@admin.register(OutboxEvent)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "type", "key", "time", "relayed_at", "error")
    list_filter = (StateFilter, TypeFilter)
    search_fields = ("event_id__exact", "key__exact", "correlation_id__exact")
    search_help_text = "An event's id, its key or its correlation id, exactly."
    ordering = ("-id",)
    exclude = ("data", "headers")
    readonly_fields = ("payload", "sent_headers")
    inlines = (DeliveryInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if event_id := _uuid(term):
            found = queryset.filter(event_id=event_id) | queryset.filter(correlation_id=term)
            return found, False
        return queryset.filter(key=term) | queryset.filter(correlation_id=term), False

    @admin.display(description="payload")
    def payload(self, event: OutboxEvent) -> SafeString:
        return _as_json(event.data)

    @admin.display(description="headers")
    def sent_headers(self, event: OutboxEvent) -> SafeString:
        return _as_json(event.headers)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "subscriber", "queue", "status", "attempts", "due_at", "error_class")
    list_filter = (StatusFilter, SubscriberFilter)
    search_fields = ("event__event_id__exact", "key__exact", "id__exact")
    search_help_text = "An event's id, a key or a delivery's number, exactly."
    ordering = ("-id",)
    raw_id_fields = ("event",)
    list_select_related = False
    exclude = ("error_text",)
    readonly_fields = ("job_id", "error")
    inlines = (AttemptInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if event_id := _uuid(term):
            return queryset.filter(event__event_id=event_id), False
        if term.isdecimal() and len(term) < 19:
            return queryset.filter(pk=int(term)) | queryset.filter(key=term), False
        return queryset.filter(key=term), False

    @admin.display(description="error")
    def error(self, delivery: Delivery) -> str:
        return _without_secrets(delivery.error_text, delivery.event)


@admin.register(RelayHeartbeat)
class RelayAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "started_at", "beat_at")
    ordering = ("-beat_at",)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _without_secrets(text: str, event: OutboxEvent) -> str:
    # They are masked when they are recorded, too, but by the REDACT of that day.
    return without(text, redacted_values([event.data, event.headers]))


def _as_json(tree: Any) -> SafeString:
    text = json.dumps(masked(tree), indent=2, ensure_ascii=False, sort_keys=True)
    return format_html("<pre>{}</pre>", text)
