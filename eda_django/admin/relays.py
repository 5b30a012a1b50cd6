"""The relays, as a list."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import RelayHeartbeat
from .display import column, span
from .readonly import ReadOnlyAdmin

COLUMNS = {
    "name": gettext_lazy("name"),
    "hostname": gettext_lazy("host"),
    "pid": gettext_lazy("process id"),
    "version": gettext_lazy("version"),
    "started_at": gettext_lazy("started at"),
    "beat_at": gettext_lazy("last heartbeat"),
}


def heartbeat(relay: RelayHeartbeat) -> SafeString:
    """Return how long ago the relay was heard of, and in words, too, if that is too long."""
    text = _("%(beat)s ago") if relay.is_alive else _("silent for %(beat)s")
    tone = "good" if relay.is_alive else "bad"
    return format_html(
        '<span class="eda-badge eda-{}">{}</span>', tone, text % {"beat": span(relay.silence)}
    )


@admin.register(RelayHeartbeat)
class RelayAdmin(ReadOnlyAdmin):
    """Which relays are alive, and since when."""

    viewers = ("view_relayheartbeat",)
    list_display = (
        column("name", COLUMNS["name"]),
        "heartbeat",
        *(column(name, label) for name, label in COLUMNS.items() if name != "name"),
    )
    sortable_by = ()
    ordering = ("-beat_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = RelayHeartbeat.objects.with_now().order_by(*self.ordering)
        return rows

    @admin.display(description=gettext_lazy("heartbeat"))
    def heartbeat(self, relay: RelayHeartbeat) -> SafeString:
        return heartbeat(relay)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        fields = [(label, getattr(row, name)) for name, label in COLUMNS.items()]
        return self.show(
            request, "relay.html", _("Relay"), relay=row, fields=fields, heartbeat=heartbeat(row)
        )
