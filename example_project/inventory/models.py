"""How much there is of everything, and who has taken it."""

from typing import ClassVar

from django.db import models
from django.db.models import F
from django.utils import timezone

from example_project.events import StockLevel


class StockQuerySet(models.QuerySet["Stock"]):
    """Every change of a quantity, each one statement that also raises the revision."""

    def take(self, sku: str, quantity: int) -> bool:
        """Take so many, or nothing if there are not enough; say which."""
        # The condition stands in the UPDATE itself: two orders can't both get the last one.
        return bool(
            self.filter(sku=sku, quantity__gte=quantity).update(
                quantity=F("quantity") - quantity, revision=F("revision") + 1
            )
        )

    def put_back(self, sku: str, quantity: int) -> None:
        self.filter(sku=sku).update(quantity=F("quantity") + quantity, revision=F("revision") + 1)

    def levels(self, skus: list[str]) -> tuple[StockLevel, ...]:
        rows = self.filter(sku__in=skus).order_by("sku")
        return tuple(StockLevel(row.sku, row.quantity, row.revision) for row in rows)


class Stock(models.Model):
    """How many of a product are neither sold nor reserved."""

    sku = models.SlugField(max_length=40, unique=True)
    quantity = models.PositiveIntegerField()
    revision = models.PositiveIntegerField(default=1)

    objects: ClassVar[StockQuerySet] = StockQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("sku",)
        verbose_name_plural = "stock"

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class Movement(models.Model):
    """Something put aside for an order, or put back.

    No unique constraint on the order: a doubled effect would show, and it is the library that
    prevents it.
    """

    order_id = models.UUIDField(db_index=True)
    sku = models.SlugField(max_length=40)
    quantity = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class Reservation(Movement):
    """Put aside for an order."""


class Release(Movement):
    """Put back, because the order came to nothing."""
