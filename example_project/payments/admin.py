"""Charges in the admin."""

from django.contrib import admin

from example_project.backoffice import ReadOnlyAdmin

from .models import Charge


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "amount", "outcome", "reference", "attempt", "at")
    list_filter = ("outcome",)
    search_fields = ("order_id__exact", "reference__exact")
