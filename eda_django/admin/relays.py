"""The relays, as a list."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..models import RelayHeartbeat
from .readonly import ReadOnlyAdmin


@admin.register(RelayHeartbeat)
class RelayAdmin(ReadOnlyAdmin):
    """Which relays are alive, and since when."""

    viewers = ("view_relayheartbeat",)
    list_display = ("name", "hostname", "pid", "version", "started_at", "beat_at")
    ordering = ("-beat_at",)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        fields = [(f.verbose_name, getattr(row, f.name)) for f in self.opts.concrete_fields]
        return self.show(request, "relay.html", _("Relay"), relay=row, fields=fields)
