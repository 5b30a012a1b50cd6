"""What is sold, what was ordered, and how far the others have come with it."""

import uuid
from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import Q

from example_project.events import Customer, Line, OrderFacts, StockLevel

FEW = 5


class ProductQuerySet(models.QuerySet["Product"]):
    """What the shop and the subscribers do with products."""

    def note_level(self, level: StockLevel) -> int:
        """Keep what inventory said, unless it has said something newer since."""
        return self.filter(
            Q(stock_revision=None) | Q(stock_revision__lt=level.revision), sku=level.sku
        ).update(stock=level.quantity, stock_revision=level.revision)


class Product(models.Model):
    """A product. `stock` is only what inventory last told; inventory alone knows."""

    sku = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=100)
    section = models.CharField(max_length=40)
    description = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    shape = models.CharField(max_length=20)
    hue = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField(default=0)
    stock = models.PositiveIntegerField(null=True, blank=True)
    stock_revision = models.PositiveIntegerField(null=True, blank=True)

    objects: ClassVar[ProductQuerySet] = ProductQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("position", "sku")

    def __str__(self) -> str:
        return self.title

    @property
    def is_sold_out(self) -> bool:
        return self.stock == 0

    @property
    def is_scarce(self) -> bool:
        return self.stock is not None and 0 < self.stock <= FEW


class Order(models.Model):
    """An order. Its id is its checkout's, so that a checkout sent twice makes one order."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    email = models.EmailField()
    card_token = models.CharField(max_length=40, editable=False)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    placed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-placed_at",)

    def __str__(self) -> str:
        return f"Order {self.number}"

    @property
    def number(self) -> str:
        """The short name that customers see."""
        return self.id.hex[:8].upper()

    def facts(self) -> OrderFacts:
        """Return what events tell about the order."""
        lines = tuple(
            Line(line.sku, line.title, line.quantity, line.price)
            for line in self.lines.order_by("pk")
        )
        return OrderFacts(self.pk, Customer(self.name, self.email), lines, self.total)


class OrderLine(models.Model):
    """So many of a product, at the price it had then."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    sku = models.SlugField(max_length=40)
    title = models.CharField(max_length=100)
    quantity = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.title}"

    @property
    def sum(self) -> Decimal:
        return self.quantity * self.price


class StepQuerySet(models.QuerySet["OrderStep"]):
    def of(self, order_id: uuid.UUID) -> "StepQuerySet":
        return self.filter(order_id=order_id).order_by("at", "pk")


class OrderStep(models.Model):
    """What another service has reported about an order: fed by events, and by nothing else.

    No foreign key: what comes is noted, in whatever order it comes. And no unique constraint: a
    doubled effect would show, and it is the library that prevents it.
    """

    order_id = models.UUIDField(db_index=True)
    name = models.CharField(max_length=20)
    detail = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    objects: ClassVar[StepQuerySet] = StepQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.name


def total_of(lines: "list[OrderLine]") -> Decimal:
    return sum((line.sum for line in lines), Decimal(0))
