"""What orders hears from the others: its own record of how far an order has come."""

from typing import Any

from eda_django import Event, subscribes
from example_project.events import (
    InvoiceWritten,
    MailSent,
    PaymentCaptured,
    PaymentDeclined,
    StockChanged,
    StockRefused,
    StockReleased,
    StockReserved,
)

from . import services


@subscribes(StockReserved, queue="orders")
def note_reserved(event: Event[StockReserved]) -> None:
    _note(event, "reserved", "Everything is put aside for you.")


@subscribes(StockRefused, queue="orders")
def note_refused(event: Event[StockRefused]) -> None:
    _note(event, "refused", f"Not enough left: {event.data.sold_out}.")


@subscribes(StockReleased, queue="orders")
def note_released(event: Event[StockReleased]) -> None:
    _note(event, "released", f"{event.data.items} back on the shelf.")


@subscribes(PaymentCaptured, queue="orders")
def note_paid(event: Event[PaymentCaptured]) -> None:
    _note(event, "paid", f"{event.data.order.total} €, reference {event.data.reference}.")


@subscribes(PaymentDeclined, queue="orders")
def note_declined(event: Event[PaymentDeclined]) -> None:
    _note(event, "declined", event.data.reason)


@subscribes(InvoiceWritten, queue="orders")
def note_invoice(event: Event[InvoiceWritten]) -> None:
    _note(event, "invoiced", f"Invoice {event.data.number}.")


@subscribes(MailSent, queue="orders")
def note_mail(event: Event[MailSent]) -> None:
    _note(event, "mailed", f"“{event.data.subject}” to {event.data.to}.")


@subscribes(StockChanged, queue="orders")
def note_levels(event: Event[StockChanged]) -> None:
    services.note_levels(event.data.levels)


def _note(event: Event[Any], step: str, detail: str) -> None:
    data = event.data
    order_id = data.order.order_id if hasattr(data, "order") else data.order_id
    services.note_step(order_id, step, at=event.time, detail=detail)
