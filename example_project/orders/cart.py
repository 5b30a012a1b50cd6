"""The visitor's cart: quantities by sku, in the session."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from .models import Product

KEY = "cart"
MOST = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLine:
    product: Product
    quantity: int

    @property
    def sum(self) -> Decimal:
        return self.product.price * self.quantity


class Cart:
    """What the visitor has chosen so far."""

    def __init__(self, request: HttpRequest) -> None:
        self.session = request.session
        self.quantities: dict[str, int] = dict(self.session.get(KEY, {}))

    def __len__(self) -> int:
        return sum(self.quantities.values())

    def add(self, sku: str, quantity: int) -> None:
        self.quantities[sku] = min(self.quantities.get(sku, 0) + quantity, MOST)
        self._save()

    def remove(self, sku: str) -> None:
        self.quantities.pop(sku, None)
        self._save()

    def empty(self) -> None:
        self.quantities.clear()
        self._save()

    def lines(self) -> list[CartLine]:
        products = Product.objects.filter(sku__in=list(self.quantities))
        return [CartLine(product=p, quantity=self.quantities[p.sku]) for p in products]

    def _save(self) -> None:
        self.session[KEY] = self.quantities


def in_every_page(request: HttpRequest) -> dict[str, Any]:
    """Tell every template how many things are in the cart."""
    return {"cart_count": len(Cart(request))}
