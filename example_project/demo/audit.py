"""Whether every order had its effects, each once: read from the services' own tables.

What the library says of its deliveries proves nothing here, but for one thing: a dead letter
explains why what it would have brought about is missing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Max, Sum
from django.utils import timezone

from example_project.inventory.models import Release, Reservation, Stock
from example_project.orders.models import Order, Product

from .books import CHARGE, Books, step

# The services through which an order must have gone for each effect: a dead letter of one of them
# explains why the effect is missing, and nothing that comes before it.
RESERVED = frozenset({"inventory"})
CHARGED = RESERVED | {"payments"}
INVOICED = CHARGED | {"billing"}
MAILED = INVOICED | {"notifications"}
BEHIND = {
    "reservation": RESERVED,
    "charge": CHARGED,
    "release": CHARGED,
    "invoice": INVOICED,
    "mail": MAILED,
    "step 'reserved'": RESERVED | {"orders"},
    "step 'refused'": RESERVED | {"orders"},
    "step 'paid'": CHARGED | {"orders"},
    "step 'declined'": CHARGED | {"orders"},
    "step 'released'": CHARGED | {"orders"},
    "step 'invoiced'": INVOICED | {"orders"},
    "step 'mailed'": MAILED | {"orders"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What there was before the first customer came."""

    at: datetime
    stock: Mapping[str, int]
    last_reservation: int
    last_release: int

    @classmethod
    def now(cls) -> "Opening":
        return cls(
            at=timezone.now(),
            stock=dict(Stock.objects.values_list("sku", "quantity")),
            last_reservation=_last(Reservation),
            last_release=_last(Release),
        )


@dataclass(slots=True, kw_only=True)
class Audit:
    """How the orders ended, and a sentence for everything that is wrong with them."""

    placed: int = 0
    paid: int = 0
    declined: int = 0
    sold_out: int = 0
    stuck: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def audit(opening: Opening, seen: Iterable[Collection[UUID]] = ()) -> Audit:
    """Check every order since the opening; `seen` are the orders each customer was shown."""
    found = Audit()
    orders = set(Order.objects.filter(placed_at__gte=opening.at).values_list("pk", flat=True))
    found.placed = len(orders)
    for ids in seen:
        found.lost += [
            f"order {pk} was confirmed and is not there" for pk in ids if pk not in orders
        ]
        if len(ids) > 1:
            found.doubled.append(f"one checkout made {len(ids)} orders: {sorted(map(str, ids))}")
    books = Books(orders)
    for pk in sorted(orders):
        _check_order(pk, books, found)
    found.doubled += _check_stock(opening)
    found.lost += _check_product_list()
    return found


def _check_order(pk: UUID, books: Books, found: Audit) -> None:
    actual, should = books.effects[pk], books.expected(pk)
    found.lost += [
        f"order {pk}: no {effect.what}"
        for effect in should - actual
        if not books.dead[pk] & BEHIND[effect.kind]
    ]
    found.doubled += [f"order {pk}: {n} {e.what} too many" for e, n in (actual - should).items()]
    if books.dead[pk]:
        found.stuck += 1
    elif pk in books.declined:
        found.declined += 1
    elif CHARGE in actual:
        found.paid += 1
    elif step("refused") in actual:
        found.sold_out += 1


def _check_stock(opening: Opening) -> Iterator[str]:
    """Reckon what is left of each product from what went and what came back."""
    went = _sums(Reservation, opening.last_reservation)
    back = _sums(Release, opening.last_release)
    for sku, now in Stock.objects.values_list("sku", "quantity"):
        before = opening.stock.get(sku, 0)
        if now != before - went[sku] + back[sku]:
            yield f"stock of {sku} is {now}, not {before} - {went[sku]} + {back[sku]}"


def _check_product_list() -> Iterator[str]:
    """Compare what the shop's pages say with what inventory has."""
    shown = dict(Product.objects.values_list("sku", "stock"))
    for sku, now in Stock.objects.values_list("sku", "quantity"):
        if shown.get(sku) != now:
            yield f"the product list has {shown.get(sku)} of {sku}, inventory {now}"


def _sums(model: type[Reservation] | type[Release], after: int) -> Counter[str]:
    rows = model._default_manager.filter(pk__gt=after).order_by().values_list("sku")
    return Counter(dict(rows.annotate(Sum("quantity"))))


def _last(model: type[Reservation] | type[Release]) -> int:
    return int(model._default_manager.aggregate(last=Max("pk"))["last"] or 0)
