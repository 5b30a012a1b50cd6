"""The backstage app."""

from django.apps import AppConfig


class BackstageConfig(AppConfig):
    name = "example_project.backstage"
    label = "backstage"
    verbose_name = "Backstage"
    default_auto_field = "django.db.models.BigAutoField"
