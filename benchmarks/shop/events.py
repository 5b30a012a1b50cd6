"""An event whose JSON has about 300 bytes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from eda_django import event


@event("bench.sale_made")
@dataclass(frozen=True, slots=True)
class SaleMade:
    """A sale, with the fields that such events usually have."""

    number: int
    reference: UUID
    customer: str
    email: str
    total: Decimal
    currency: str
    placed_at: datetime
    lines: list[str]


@event("bench.sale_made_by_hand")
@dataclass(frozen=True, slots=True)
class SaleMadeByHand(SaleMade):
    """The same, for the subscriber that writes its INSERT by hand."""
