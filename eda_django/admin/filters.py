"""The filters of the lists. Names come from the running code and indexes, never from a scan."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import conf
from ..models import Delivery, OutboxEvent, Status
from ..models.search import types_in_the_outbox
from ..models.selection import ASIDE, Selection
from ..models.statistics import subscribers_with_history
from ..models.status import RETRYING, UNDECODABLE, UNKNOWN_SUBSCRIBER, UNPUSHABLE
from ..models.windows import SLACK, first_event_since
from ..payloads import text_problem
from ..registry import registry
from .display import LABELS, breakable

# The newest events, and what waits longest for its time, of which names are looked at that the
# running code does not have.
RECENT = 1_000
PERIODS = {
    "hour": (_("Past hour"), timedelta(hours=1)),
    "day": (_("Past 24 hours"), timedelta(days=1)),
    "week": (_("Past 7 days"), timedelta(days=7)),
    "month": (_("Past 30 days"), timedelta(days=30)),
}
AGES = {
    "minute": (_("Over a minute"), timedelta(minutes=1)),
    "10min": (_("Over 10 minutes"), timedelta(minutes=10)),
    "hour": (_("Over an hour"), timedelta(hours=1)),
    "day": (_("Over a day"), timedelta(days=1)),
    "week": (_("Over 7 days"), timedelta(days=7)),
}


class ChoiceFilter(admin.SimpleListFilter):
    """A filter of which `choose` does the work for a value that was chosen."""

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (value := self.value()):
            return queryset
        # An address typed by hand may hold what PostgreSQL refuses to look for.
        return queryset.none() if text_problem(value) else self.choose(value, queryset)

    def choose(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class EventStateFilter(ChoiceFilter):
    """Where an event is on its way."""

    title = _("state")
    parameter_name = "state"
    # These an index leads to.
    NARROW = ("new", "aside", "dead", RETRYING)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("new", _("not relayed yet")),
            ("aside", _("no code knows it")),
            ("dead", _("a delivery is dead")),
            (RETRYING, _("a delivery is retried")),
            ("relayed", _("relayed")),
        ]

    def choose(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = Delivery.objects.using(queryset.db).order_by()
        if value == "new":
            # One index has those that are fresh, another those that wait for a time.
            waits = Q(relayed_at=None, available_at__isnull=False)
            return queryset.filter(Q(relayed_at=None, available_at=None) | waits)
        if value == "aside":
            return queryset.filter(relayed_at=None, available_at__isnull=False).exclude(error="")
        if value == "dead":
            return queryset.filter(pk__in=rows.dead().values("event_id"))
        if value == RETRYING:
            retried = rows.filter(status=Status.PENDING, attempts__gt=0)
            return queryset.filter(pk__in=retried.values("event_id"))
        return queryset.exclude(relayed_at=None) if value == "relayed" else queryset


class PeriodFilter(ChoiceFilter):
    """When an event was published."""

    title = _("period")
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, (label, _length) in PERIODS.items()]

    def choose(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value not in PERIODS:
            return queryset
        since = timezone.now() - PERIODS[value][1]
        return queryset.filter(time__gte=since, pk__gte=lowest_of(value, queryset.db))


def lowest_of(period: str | None, using: str) -> int:
    """Return a number that is below all events of the period."""
    if period not in PERIODS:
        return 0
    return first_event_since(timezone.now() - PERIODS[period][1] - SLACK, using)


class NameFilter(ChoiceFilter):
    """One of many names; what code or index don't know can still be asked for in the address."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, breakable(name)) for name in sorted(set(self.names(model_admin)))]

    def names(self, model_admin: Any) -> Iterable[str]:
        raise NotImplementedError

    def choose(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): value})


class TypeFilter(NameFilter):
    title = _("type")
    parameter_name = "type"

    def names(self, model_admin: Any) -> Iterable[str]:
        using = model_admin.get_queryset(None).db
        return {*registry.type_names(), *types_in_the_outbox(using)}


class SourceFilter(NameFilter):
    title = _("source")
    parameter_name = "source"

    def names(self, model_admin: Any) -> Iterable[str]:
        newest = OutboxEvent.objects.order_by("-pk").values_list("source", flat=True)[:RECENT]
        return {conf.get("SOURCE"), *newest}


class SelectionFilter(NameFilter):
    """A filter of deliveries. The list's Selection does the work, as for bulk operations."""

    def choose(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class StatusFilter(SelectionFilter):
    title = _("state")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        # No code makes one wait for another of its key yet: the choice would always be empty.
        used = [(value, label) for value, label in Status.choices if value != Status.WAITING]
        return [*used, (RETRYING, _("Retrying"))]


class SubscriberFilter(SelectionFilter):
    title = _("subscription")
    parameter_name = "subscriber"

    def names(self, model_admin: Any) -> Iterable[str]:
        return {*registry.names(), *subscribers_with_history(Delivery.objects.db)}


class QueueFilter(SelectionFilter):
    title = _("queue")
    parameter_name = "queue"

    def names(self, model_admin: Any) -> Iterable[str]:
        # What waits for a queue that is gone, or not there yet, is due later and later.
        pending: Any = Delivery.objects.filter(status=Status.PENDING).order_by("-due_at")
        waiting = pending.values_list("queue", flat=True)[:RECENT]
        return {conf.get("QUEUE"), *(s.queue for s in registry if s.queue), *waiting}


class ErrorFilter(SelectionFilter):
    """Why a delivery was put aside. Any other class of an error can be asked for, too."""

    title = _("error")
    parameter_name = "error_class"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (ASIDE, LABELS["aside"]),
            (UNKNOWN_SUBSCRIBER, _("no code knows the subscription")),
            (UNDECODABLE, _("no code can read the payload")),
            (UNPUSHABLE, _("its queue can't be reached")),
        ]


class AgeFilter(SelectionFilter):
    """How long ago the event was published."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, (label, _length) in AGES.items()]


def selection_of(query: Any) -> Selection | None:
    """Return what the list's address selects; None if it can't select anything."""
    names = ("status", "subscriber", "queue", "error_class", "fingerprint")
    values = {name: query.get(name, "") for name in names} | {"search": query.get("q", "").strip()}
    if any(text_problem(value) for value in values.values()):
        return None
    age = query.get("age", "")
    if age not in AGES:
        return Selection(**values)
    until = first_event_since(timezone.now() - AGES[age][1], Delivery.objects.db)
    return Selection(age=age, until_event=until, **values)
