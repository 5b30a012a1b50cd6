"""The event types of the tests."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from eda_django import event


@event("testapp.order_placed", version=1)
@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """An order with fields that plain JSON can't hold."""

    number: str
    total: Decimal
    placed_at: datetime
    reference: UUID


@event("testapp.noted")
@dataclass(frozen=True, slots=True)
class Noted:
    """The smallest event: a note, and what the subscriber is to do about it."""

    text: str = ""
    behave: str = ""
