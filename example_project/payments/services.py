"""Charging cards."""

from uuid import UUID

from django.db import transaction

from eda_django import publish
from example_project import gateway
from example_project.events import OrderFacts, PaymentCaptured, PaymentDeclined

from .models import Charge, Outcome


@transaction.atomic
def charge(order: OrderFacts, *, card_token: str, request_id: UUID, attempt: int) -> None:
    """Charge the order's total and publish what came of it. Raises GatewayError to be retried."""
    kept = Charge(order_id=order.order_id, amount=order.total, attempt=attempt)
    try:
        # No rollback undoes a charge. Should this transaction fail after it, the next attempt
        # sends the same id, and the gateway answers with the same charge.
        kept.reference = gateway.charge(
            card_token, order.total, request_id=request_id, attempt=attempt
        )
    except gateway.CardDeclined as error:
        kept.outcome = Outcome.DECLINED
        publish(PaymentDeclined(order, reason=str(error)), key=order.order_id)
    else:
        kept.outcome = Outcome.CAPTURED
        publish(PaymentCaptured(order, reference=kept.reference), key=order.order_id)
    kept.save()
