"""When customers get a mail: however their order ends."""

from eda_django import Event, subscribes
from example_project.events import InvoiceWritten, PaymentDeclined, StockRefused

from . import services


@subscribes(InvoiceWritten, queue="notifications")
def mail_invoice(event: Event[InvoiceWritten]) -> None:
    services.send(
        event.data.order,
        subject=f"Your order is on its way, invoice {event.data.number}",
        text="Thank you for your order. It is paid and on its way.",
        message_id=event.id,
    )


@subscribes(PaymentDeclined, queue="notifications")
def mail_declined(event: Event[PaymentDeclined]) -> None:
    services.send(
        event.data.order,
        subject="Your card was declined",
        text=f"{event.data.reason} Your order is cancelled and nothing was charged.",
        message_id=event.id,
    )


@subscribes(StockRefused, queue="notifications")
def mail_sold_out(event: Event[StockRefused]) -> None:
    services.send(
        event.data.order,
        subject=f"Sorry, {event.data.sold_out} is sold out",
        text="Somebody was faster. Your order is cancelled and nothing was charged.",
        message_id=event.id,
    )
