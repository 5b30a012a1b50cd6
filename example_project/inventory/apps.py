"""The inventory app."""

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "example_project.inventory"
    label = "inventory"
    verbose_name = "Inventory"
    default_auto_field = "django.db.models.BigAutoField"
