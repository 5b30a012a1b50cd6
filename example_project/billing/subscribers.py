"""What billing does when money has come in."""

from eda_django import Event, subscribes
from example_project.events import PaymentCaptured

from . import services


@subscribes(PaymentCaptured, queue="billing")
def write_invoice(event: Event[PaymentCaptured]) -> None:
    services.write_invoice(event.data.order)
