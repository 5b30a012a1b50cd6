"""The event that a sale makes."""

from decimal import Decimal

from benchmarks.business.sales import LINES, PLACED_AT, REFERENCE

from .events import SaleMade


def sale_made(number: int, kind: type[SaleMade] = SaleMade) -> SaleMade:
    return kind(
        number=number,
        reference=REFERENCE,
        customer="Ada Lovelace",
        email="ada@example.org",
        total=Decimal("129.90"),
        currency="EUR",
        placed_at=PLACED_AT,
        lines=LINES,
    )
