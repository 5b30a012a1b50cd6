"""The invoices."""

from django.db import models
from django.utils import timezone


class Invoice(models.Model):
    """An order's invoice.

    No unique constraint on the order: a doubled effect would show, and it is the library that
    prevents it.
    """

    order_id = models.UUIDField(db_index=True)
    customer = models.CharField(max_length=100)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"{self.at:%Y}-{self.pk:05d}"
