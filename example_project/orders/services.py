"""Taking orders, and keeping what the other services report about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from eda_django import publishes
from example_project.events import Customer, OrderPlaced, StockLevel

from .models import Order, OrderLine, OrderStep, Product, total_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A product as the shop's catalogue has it."""

    sku: str
    section: str
    title: str
    description: str
    price: Decimal
    shape: str
    hue: int


def place_order(
    checkout_id: UUID, *, customer: Customer, card_token: str, cart: Mapping[str, int]
) -> Order:
    """Make the order of this checkout, or find it again; `cart` has quantities by sku."""
    new = place_new_order(checkout_id, customer, card_token, _lines(cart))
    return new or Order.objects.get(pk=checkout_id)


# The caller gets the order at once; all the rest happens because of the event. Order and event
# commit together, and a checkout that is sent again finds its order and publishes nothing. The
# idempotency key alone would not do: it is forgotten with its event, after RETENTION, and the
# card would be charged again. The shop's pages find an order's events by it.
@publishes(
    OrderPlaced,
    payload=lambda order: OrderPlaced(order.facts(), order.card_token),
    key=lambda order: order.pk,
    idempotency_key=lambda order: str(order.pk),
)
def place_new_order(
    checkout_id: UUID, customer: Customer, card_token: str, lines: list[OrderLine]
) -> Order | None:
    """Make the order of this checkout; return None if it has one already."""
    order, is_new = Order.objects.get_or_create(
        pk=checkout_id,
        defaults={
            "name": customer.name,
            "email": customer.email,
            "card_token": card_token,
            "total": total_of(lines),
        },
    )
    if not is_new:
        return None
    for line in lines:
        line.order = order
    OrderLine.objects.bulk_create(lines)
    return order


def note_step(order_id: UUID, name: str, *, at: datetime, detail: str = "") -> None:
    """Keep what a service has reported about an order."""
    OrderStep.objects.create(order_id=order_id, name=name, at=at, detail=detail[:200])


def note_levels(levels: Iterable[StockLevel]) -> None:
    """Keep how much there is left, for the product list."""
    for level in levels:
        Product.objects.note_level(level)


def list_products(listings: Iterable[Listing]) -> int:
    """Put products on sale, or bring them up to date; return how many there are."""
    count = 0
    for position, listing in enumerate(listings):
        Product.objects.update_or_create(
            sku=listing.sku,
            defaults={
                "section": listing.section,
                "title": listing.title,
                "description": listing.description,
                "price": listing.price,
                "shape": listing.shape,
                "hue": listing.hue,
                "position": position,
            },
        )
        count += 1
    return count


def _lines(cart: Mapping[str, int]) -> list[OrderLine]:
    products = Product.objects.filter(sku__in=list(cart))
    return [
        OrderLine(sku=p.sku, title=p.title, price=p.price, quantity=cart[p.sku]) for p in products
    ]
