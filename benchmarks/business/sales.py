"""Making sales: the same ones for every contestant. Nothing here knows the library."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from .models import Sale

PLACED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REFERENCE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
LINES = ["3 x screw M4 by 20 mm, zinc", "1 x hammer 300 g", "2 x tape measure, 5 m"]


def sell(number: int) -> Sale:
    """Write the business row."""
    sale: Sale = Sale.objects.create(
        number=f"S-{number}", customer="Ada Lovelace", total=Decimal("129.90"), placed_at=PLACED_AT
    )
    return sale


def as_dict(number: int) -> dict[str, Any]:
    """Return the payload as JSON's own types, as a plain job or a hand-written row has it."""
    return {
        "number": number,
        "reference": str(REFERENCE),
        "customer": "Ada Lovelace",
        "email": "ada@example.org",
        "total": "129.90",
        "currency": "EUR",
        "placed_at": PLACED_AT.isoformat(),
        "lines": LINES,
    }
