"""Failed attempts, one row each."""

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..conf import MAX_NAME


class Attempt(models.Model):
    """Why one attempt of a delivery failed."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(
        "eda_django.Delivery", on_delete=models.CASCADE, related_name="failed_attempts"
    )
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=MAX_NAME)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField()
    error_class = models.CharField(max_length=MAX_NAME)
    error_text = models.TextField(blank=True)
    traceback = models.TextField(blank=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.error_class}"
