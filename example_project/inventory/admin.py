"""Stock in the admin: what is corrected here, the shop hears of."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from example_project.backoffice import ModelAdmin, ReadOnlyAdmin

from . import services
from .models import Release, Reservation, Stock


@admin.register(Stock)
class StockAdmin(ModelAdmin):
    list_display = ("sku", "quantity", "revision")
    search_fields = ("sku",)
    readonly_fields = ("revision",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        services.correct(obj)


@admin.register(Reservation, Release)
class MovementAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "sku", "quantity", "at")
    search_fields = ("order_id__exact", "sku")
