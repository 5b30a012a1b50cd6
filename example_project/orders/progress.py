"""How far an order is: its steps as orders knows them, and what the missing one waits for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eda_django.models import FINISHED, Delivery, OutboxEvent, Status

from .models import Order, OrderStep

# Each step's title, and the service that does it.
STEPS: Mapping[str, tuple[str, str]] = {
    "placed": ("Order placed", "orders"),
    "reserved": ("Stock reserved", "inventory"),
    "refused": ("Sold out", "inventory"),
    "paid": ("Card charged", "payments"),
    "declined": ("Card declined", "payments"),
    "released": ("Stock released", "inventory"),
    "invoiced": ("Invoice written", "billing"),
    "mailed": ("Mail sent", "notifications"),
}
FAILURES = frozenset({"refused", "declined"})
GOOD = ("placed", "reserved", "paid", "invoiced", "mailed")
DECLINED = ("placed", "reserved", "declined", "released", "mailed")
SOLD_OUT = ("placed", "refused", "mailed")
HEADLINES = {
    "placed": "Thank you, your order is in",
    "reserved": "Put aside for you",
    "paid": "Paid",
    "confirmed": "All done",
    "cancelled": "Cancelled",
    "sold_out": "Sold out",
    "stuck": "This takes a little longer",
}
SENTENCES = {
    "placed": "It is confirmed; the rest happens by itself, and shows here.",
    "reserved": "Everything you ordered is there. The card comes next.",
    "paid": "The invoice and a mail to you are on their way.",
    "confirmed": "Reserved, paid, invoiced, and a mail is with you.",
    "cancelled": "Your card was declined, so the order is cancelled. Nothing was charged.",
    "sold_out": "Somebody was faster. Nothing was charged.",
    "stuck": "A service has given up on this order for now. It waits for an operator.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the order's page. `state`: done, failed, waiting, stuck or upcoming."""

    name: str
    title: str
    service: str
    state: str
    at: datetime | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state,
            "at": self.at.isoformat() if self.at else None,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """An order's state, and its steps. Finished: nothing moves any more by itself."""

    state: str
    finished: bool
    steps: tuple[Step, ...]

    @property
    def headline(self) -> str:
        return HEADLINES[self.state]

    @property
    def sentence(self) -> str:
        return SENTENCES[self.state]

    def as_json(self) -> dict[str, Any]:
        steps = [step.as_json() for step in self.steps]
        return {"state": self.state, "finished": self.finished, "steps": steps}


def of(order: Order) -> Progress:
    """Return how far the order is, by what orders was told so far."""
    known = {row.name: row for row in OrderStep.objects.of(order.pk)}
    names = {"placed", *known}
    path = _path(names)
    missing = [name for name in path if name not in names]
    open_deliveries = _open_deliveries(order) if missing else []
    is_stuck = any(row.status == Status.DEAD for row in open_deliveries)
    steps = [
        _done(order, known, name)
        if name in names
        else _missing(name, open_deliveries, is_next=name == missing[0])
        for name in path
    ]
    return Progress(
        state="stuck" if is_stuck else _state(names, path),
        finished=is_stuck or not missing,
        steps=tuple(steps),
    )


def _path(names: set[str]) -> tuple[str, ...]:
    # By what is known and not by what came last: events may come in any order.
    if "refused" in names:
        return SOLD_OUT
    return DECLINED if "declined" in names else GOOD


def _state(names: set[str], path: tuple[str, ...]) -> str:
    if path != GOOD:
        return "sold_out" if path == SOLD_OUT else "cancelled"
    if names >= set(GOOD):
        return "confirmed"
    return next(name for name in ("paid", "reserved", "placed") if name in names)


def _done(order: Order, known: Mapping[str, OrderStep], name: str) -> Step:
    title, service = STEPS[name]
    row = known.get(name)
    return Step(
        name=name,
        title=title,
        service=service,
        state="failed" if name in FAILURES else "done",
        at=row.at if row else order.placed_at,
        detail=row.detail if row else f"Order {order.number}, confirmed at once.",
    )


def _missing(name: str, deliveries: Iterable[Delivery], *, is_next: bool) -> Step:
    title, service = STEPS[name]
    if not is_next:
        return Step(name=name, title=title, service=service, state="upcoming")
    dead = next((row for row in deliveries if row.status == Status.DEAD), None)
    if dead:
        detail = f"Waits for an operator, after {dead.attempts} attempts: {dead.error_text}"
        return Step(name=name, title=title, service=service, state="stuck", detail=detail)
    detail = _what_it_waits_for(service, deliveries)
    return Step(name=name, title=title, service=service, state="waiting", detail=detail)


def _what_it_waits_for(service: str, deliveries: Iterable[Delivery]) -> str:
    by_queue = {row.queue: row for row in deliveries}
    row = by_queue.get(service)
    if row and row.attempts and row.status != Status.RUNNING:
        return f"Attempt {row.attempts} failed: {row.error_text} Trying again."
    if row is None and "orders" in by_queue:
        return f"{service.capitalize()} has reported, orders has not noted it yet."
    return f"Waiting for {service}."


def _open_deliveries(order: Order) -> list[Delivery]:
    """Return what is not finished, of all that the order has caused."""
    first = OutboxEvent.objects.filter(type="orders.order_placed", idempotency_key=str(order.pk))
    correlation = first.values("correlation_id")[:1]
    rows = Delivery.objects.filter(event__correlation_id=correlation)
    return list(rows.exclude(status__in=FINISHED).order_by("pk"))
