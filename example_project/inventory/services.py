"""Reserving stock and releasing it."""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from eda_django import publish, publishes
from example_project.events import (
    OrderFacts,
    OrderPlaced,
    StockChanged,
    StockRefused,
    StockReleased,
    StockReserved,
)

from .models import Release, Reservation, Stock


class SoldOut(Exception):
    """There is not enough of a product; the argument is its title."""


@transaction.atomic
def reserve(placed: OrderPlaced) -> None:
    """Put everything aside that was ordered, or nothing; publish which."""
    order = placed.order
    try:
        # A savepoint: what was taken before the product that is sold out goes back.
        with transaction.atomic():
            _take(order)
    except SoldOut as error:
        publish(StockRefused(order, sold_out=str(error)), key=order.order_id)
        return
    publish(StockReserved(order, placed.card_token), key=order.order_id)
    _publish_levels([line.sku for line in order.lines])


@publishes(StockReleased, key=lambda released: released.order_id)
def release(order_id: UUID) -> StockReleased:
    """Put back what was put aside for an order."""
    reserved = list(Reservation.objects.filter(order_id=order_id).order_by("sku"))
    for row in reserved:
        Stock.objects.put_back(row.sku, row.quantity)
    Release.objects.bulk_create(
        [Release(order_id=order_id, sku=row.sku, quantity=row.quantity) for row in reserved]
    )
    _publish_levels([row.sku for row in reserved])
    return StockReleased(order_id, items=sum(row.quantity for row in reserved))


@transaction.atomic
def stock_up(quantities: Mapping[str, int]) -> int:
    """Take up products that were not known, with their quantities; return how many were new."""
    known = set(Stock.objects.values_list("sku", flat=True))
    new = [Stock(sku=sku, quantity=n) for sku, n in quantities.items() if sku not in known]
    Stock.objects.bulk_create(new)
    _publish_levels([row.sku for row in new])
    return len(new)


@transaction.atomic
def correct(stock: Stock) -> None:
    """Save a quantity that somebody has counted, and tell the others."""
    known = Stock.objects.select_for_update().filter(pk=stock.pk).first()
    stock.revision = known.revision + 1 if known else 1
    stock.save()
    _publish_levels([stock.sku])


def _take(order: OrderFacts) -> None:
    # By sku, so that two orders never wait for each other's rows crosswise.
    for line in sorted(order.lines, key=lambda line: line.sku):
        if not Stock.objects.take(line.sku, line.quantity):
            raise SoldOut(line.title)
    Reservation.objects.bulk_create(
        [Reservation(order_id=order.order_id, sku=n.sku, quantity=n.quantity) for n in order.lines]
    )


def _publish_levels(skus: list[str]) -> None:
    if skus:
        publish(StockChanged(Stock.objects.levels(skus)))
