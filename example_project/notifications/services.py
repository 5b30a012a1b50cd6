"""Writing to customers."""

from uuid import UUID

from django.core.mail import EmailMessage

from eda_django import publishes
from example_project.events import MailSent, OrderFacts

from .models import SentMail


@publishes(MailSent, key=lambda sent: sent.order_id)
def send(order: OrderFacts, *, subject: str, text: str, message_id: UUID) -> MailSent:
    """Send one mail about an order and keep a copy."""
    customer = order.customer
    body = f"Dear {customer.name},\n\n{text}\n\n{_listing(order)}\n\nLarkspur & Co.\n"
    SentMail.objects.create(order_id=order.order_id, to=customer.email, subject=subject, body=body)
    # No rollback takes a mail back. Last, so that little can still go wrong; and should the
    # worker die before the commit, the second copy has the first one's id.
    headers = {"Message-ID": f"<{message_id}@larkspur.example>"}
    EmailMessage(subject, body, to=[customer.email], headers=headers).send()
    return MailSent(order.order_id, subject=subject, to=customer.email)


def _listing(order: OrderFacts) -> str:
    lines = [f"{line.quantity:>4} × {line.title}, {line.price} €" for line in order.lines]
    return "\n".join([*lines, f"Total: {order.total} €"])
