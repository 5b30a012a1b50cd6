"""What was charged."""

from django.db import models
from django.utils import timezone


class Outcome(models.TextChoices):
    CAPTURED = "captured"
    DECLINED = "declined"


class Charge(models.Model):
    """What the gateway said about an order's card.

    No unique constraint on the order: a doubled effect would show, and it is the library that
    prevents it.
    """

    order_id = models.UUIDField(db_index=True)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reference = models.CharField(max_length=100, blank=True)
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.amount} {self.outcome}"
