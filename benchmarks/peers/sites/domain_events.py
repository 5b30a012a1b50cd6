"""django-domain-events: fire() in the transaction; its relay runs the receivers itself."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django_domain_events import DURABLE, event, fire, receiver
from django_domain_events.models import DeliveryRecord

from benchmarks.business.sales import LINES, PLACED_AT, REFERENCE
from benchmarks.peers.site import Process, Site, command, heard


@event(name="bench.sale_made")
@dataclass(frozen=True, slots=True)
class SaleMade:
    number: int
    reference: UUID
    customer: str
    email: str
    total: Decimal
    currency: str
    placed_at: datetime
    lines: list[str]


@receiver(SaleMade, mode=DURABLE)
def note(sale: SaleMade) -> None:
    heard(sale.number)


class DomainEvents(Site):
    def worker(self) -> Process:
        return command("deliver_events")

    def publish(self, number: int) -> None:
        fire(
            SaleMade(
                number=number,
                reference=REFERENCE,
                customer="Ada Lovelace",
                email="ada@example.org",
                total=Decimal("129.90"),
                currency="EUR",
                placed_at=PLACED_AT,
                lines=LINES,
            )
        )

    def left(self) -> int:
        return int(DeliveryRecord.objects.count())


SITE = DomainEvents()
