"""The relays, as a list."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import RelayHeartbeat
from .display import column
from .readonly import ReadOnlyAdmin

COLUMNS = {
    "name": gettext_lazy("name"),
    "hostname": gettext_lazy("host"),
    "pid": gettext_lazy("process id"),
    "version": gettext_lazy("version"),
    "started_at": gettext_lazy("started at"),
    "beat_at": gettext_lazy("last heartbeat"),
}


@admin.register(RelayHeartbeat)
class RelayAdmin(ReadOnlyAdmin):
    """Which relays are alive, and since when."""

    viewers = ("view_relayheartbeat",)
    list_display = tuple(column(name, label) for name, label in COLUMNS.items())
    sortable_by = ()
    ordering = ("-beat_at",)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        fields = [(label, getattr(row, name)) for name, label in COLUMNS.items()]
        return self.show(request, "relay.html", _("Relay"), relay=row, fields=fields)
