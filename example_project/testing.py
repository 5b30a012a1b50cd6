"""What the tests of the services share: facts of an order that no service has to make."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.utils import timezone

from eda_django.models import Delivery, Status

from .events import Customer, Line, OrderFacts, OrderPlaced


def facts(order_id: UUID | None = None, *, sku: str = "mug", quantity: int = 2) -> OrderFacts:
    """Return an order of one line, 16.00 a piece."""
    price = Decimal("16.00")
    return OrderFacts(
        order_id or uuid4(),
        Customer("Ada", "ada@example.org"),
        (Line(sku, "Harbour mug", quantity, price),),
        price * quantity,
    )


def placed(order: OrderFacts, card_token: str = "tok_works") -> OrderPlaced:  # noqa: S107
    return OrderPlaced(order, card_token)


def make_due() -> int:
    """Let what waits for its retry be due now; return how many that is."""
    waiting = Delivery.objects.filter(status=Status.PENDING)
    return waiting.update(due_at=timezone.now() - timedelta(minutes=1))
