"""Sent mails in the admin."""

from django.contrib import admin

from example_project.backoffice import ReadOnlyAdmin

from .models import SentMail


@admin.register(SentMail)
class SentMailAdmin(ReadOnlyAdmin):
    list_display = ("subject", "to", "order_id", "at")
    search_fields = ("order_id__exact", "to__exact")
