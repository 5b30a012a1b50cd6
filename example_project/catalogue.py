"""What Larkspur & Co. sells, from catalogue.csv: each product, and how many there are at first."""

import csv
from decimal import Decimal
from pathlib import Path

from example_project.orders.services import Listing

FILE = Path(__file__).with_name("catalogue.csv")


def read(file: Path = FILE) -> list[tuple[Listing, int]]:
    """Return every product with its first stock."""
    with file.open(encoding="utf-8", newline="") as rows:
        return [(_listing(row), int(row["stock"])) for row in csv.DictReader(rows)]


def _listing(row: dict[str, str]) -> Listing:
    return Listing(
        sku=row["sku"],
        section=row["section"],
        title=row["title"],
        description=row["description"],
        price=Decimal(row["price"]),
        shape=row["shape"],
        hue=int(row["hue"]),
    )
