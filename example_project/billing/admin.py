"""Invoices in the admin."""

from django.contrib import admin

from example_project.backoffice import ReadOnlyAdmin

from .models import Invoice


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = ("number", "order_id", "customer", "total", "at")
    search_fields = ("order_id__exact", "customer")
