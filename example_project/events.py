"""Everything that the shop's services know of each other: the facts that they publish.

An event brings along what its readers need, so that no service has to ask another.
"""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from eda_django import event


@dataclass(frozen=True, slots=True)
class Customer:
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    title: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What never changes about an order."""

    order_id: UUID
    customer: Customer
    lines: tuple[Line, ...]
    total: Decimal


@dataclass(frozen=True, slots=True)
class StockLevel:
    """How much there is of a product; of two levels the one with the higher revision is newer."""

    sku: str
    quantity: int
    revision: int


# `card_token` stands for a card that only the payment gateway knows, and is worth one charge: a
# card number would stay in the outbox, and in its backups, for as long as events are kept. The
# events after the payment don't carry it any more, and REDACT masks it wherever it might show.
@event("orders.order_placed")
@dataclass(frozen=True, slots=True)
class OrderPlaced:
    order: OrderFacts
    card_token: str


@event("inventory.stock_reserved")
@dataclass(frozen=True, slots=True)
class StockReserved:
    order: OrderFacts
    card_token: str


@event("inventory.stock_refused")
@dataclass(frozen=True, slots=True)
class StockRefused:
    order: OrderFacts
    sold_out: str


@event("inventory.stock_released")
@dataclass(frozen=True, slots=True)
class StockReleased:
    order_id: UUID
    items: int


@event("inventory.stock_changed")
@dataclass(frozen=True, slots=True)
class StockChanged:
    levels: tuple[StockLevel, ...]


@event("payments.payment_captured")
@dataclass(frozen=True, slots=True)
class PaymentCaptured:
    order: OrderFacts
    reference: str


@event("payments.payment_declined")
@dataclass(frozen=True, slots=True)
class PaymentDeclined:
    order: OrderFacts
    reason: str


@event("billing.invoice_written")
@dataclass(frozen=True, slots=True)
class InvoiceWritten:
    order: OrderFacts
    number: str


@event("notifications.mail_sent")
@dataclass(frozen=True, slots=True)
class MailSent:
    order_id: UUID
    subject: str
    to: str
