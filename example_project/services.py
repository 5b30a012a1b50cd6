"""The shop's services: each an app, with an RQ queue and a worker of the same name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. `name` is its app, its queue, and what the demo calls its worker."""

    name: str
    title: str
    does: str


SERVICES = (
    Service(
        name="orders",
        title="Orders",
        does="Takes the order at once, then follows what the others report.",
    ),
    Service(
        name="inventory",
        title="Inventory",
        does="Reserves stock for an order, and releases it when the card is declined.",
    ),
    Service(
        name="payments",
        title="Payments",
        does="Charges the card as soon as the stock is reserved.",
    ),
    Service(
        name="billing",
        title="Billing",
        does="Writes the invoice when the money is in.",
    ),
    Service(
        name="notifications",
        title="Notifications",
        does="Sends the customer one mail about how the order ended.",
    ),
)
BY_NAME = {service.name: service for service in SERVICES}
