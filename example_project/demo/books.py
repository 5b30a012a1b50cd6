"""What each service has written down about an order, and what it should have."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from eda_django.models import Delivery
from example_project.billing.models import Invoice
from example_project.inventory.models import Release, Reservation
from example_project.notifications.models import SentMail
from example_project.orders.models import OrderLine, OrderStep
from example_project.payments.models import Charge, Outcome


class Effect(NamedTuple):
    """One row that one service has, or should have, for an order."""

    service: str
    what: str

    @property
    def kind(self) -> str:
        """What it is, whatever product it is of."""
        return self.what.partition(" of ")[0]


CHARGE = Effect("payments", "charge")
INVOICE = Effect("billing", "invoice")
MAIL = Effect("notifications", "mail")


def reservation(line: str) -> Effect:
    return Effect("inventory", f"reservation of {line}")


def release(line: str) -> Effect:
    return Effect("inventory", f"release of {line}")


def step(name: str) -> Effect:
    return Effect("orders", f"step {name!r}")


def expected(lines: Collection[str], *, is_reserved: bool, is_declined: bool) -> Counter[Effect]:
    """Return what an order of these lines must have brought about, each once."""
    if not is_reserved:
        return Counter([MAIL, step("refused"), step("mailed")])
    effects = [*map(reservation, lines), CHARGE, MAIL, step("reserved"), step("mailed")]
    if is_declined:
        effects += [*map(release, lines), step("declined"), step("released")]
    else:
        effects += [INVOICE, step("paid"), step("invoiced")]
    return Counter(effects)


class Books:
    """What there is of each of these orders, and which services have a dead letter of it."""

    def __init__(self, orders: Iterable[UUID]) -> None:
        self.lines: dict[UUID, list[str]] = {pk: [] for pk in orders}
        self.effects: dict[UUID, Counter[Effect]] = {pk: Counter() for pk in self.lines}
        self.declined: set[UUID] = set()
        self.dead: dict[UUID, set[str]] = defaultdict(set)
        for pk, line in _movements(OrderLine):
            if pk in self.lines:
                self.lines[pk].append(line)
        for pk, effect in _effects():
            if pk in self.effects:
                self.effects[pk][effect] += 1
        for pk in _orders(Charge, outcome=Outcome.DECLINED):
            self.declined.add(pk)
        orders_by_key = {str(pk): pk for pk in self.lines}
        # Others may share the database, and what they name their events by is no order of ours.
        for key, queue in Delivery.objects.dead().values_list("event__key", "queue"):
            if key in orders_by_key:
                self.dead[orders_by_key[key]].add(queue)

    def is_reserved(self, pk: UUID) -> bool:
        return any(effect.what.startswith("reservation") for effect in self.effects[pk])

    def expected(self, pk: UUID) -> Counter[Effect]:
        return expected(
            self.lines[pk], is_reserved=self.is_reserved(pk), is_declined=pk in self.declined
        )


def _effects() -> Iterator[tuple[UUID, Effect]]:
    for pk, line in _movements(Reservation):
        yield pk, reservation(line)
    for pk, line in _movements(Release):
        yield pk, release(line)
    for model, effect in ((Charge, CHARGE), (Invoice, INVOICE), (SentMail, MAIL)):
        for pk in _orders(model):
            yield pk, effect
    for pk, name in OrderStep.objects.values_list("order_id", "name"):
        yield pk, step(name)


def _movements(
    model: type[OrderLine] | type[Reservation] | type[Release],
) -> Iterator[tuple[UUID, str]]:
    for pk, sku, quantity in model._default_manager.values_list("order_id", "sku", "quantity"):
        yield pk, f"{quantity} × {sku}"


def _orders(
    model: type[Charge] | type[Invoice] | type[SentMail], **conditions: str
) -> Iterator[UUID]:
    yield from model._default_manager.filter(**conditions).values_list("order_id", flat=True)
