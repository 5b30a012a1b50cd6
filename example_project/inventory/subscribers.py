"""What inventory does when it hears of orders and of declined cards."""

from eda_django import Event, subscribes
from example_project.events import OrderPlaced, PaymentDeclined

from . import services


@subscribes(OrderPlaced, queue="inventory")
def reserve_stock(event: Event[OrderPlaced]) -> None:
    services.reserve(event.data)


@subscribes(PaymentDeclined, queue="inventory")
def release_stock(event: Event[PaymentDeclined]) -> None:
    services.release(event.data.order.order_id)
