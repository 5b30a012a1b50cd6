"""Notifications: one mail, whichever way an order ends."""

from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import transaction

from eda_django import publish
from eda_django.testing import capture, drain
from example_project.events import InvoiceWritten, PaymentDeclined, StockRefused
from example_project.testing import facts

from .models import SentMail

pytestmark = pytest.mark.django_db
ORDER = facts()


@pytest.mark.parametrize(
    ("ending", "subject", "text"),
    [
        (
            InvoiceWritten(ORDER, number="2026-00007"),
            "Your order is on its way, invoice 2026-00007",
            "It is paid",
        ),
        (PaymentDeclined(ORDER, reason="The bank said no."), "Your card was declined", "said no."),
        (StockRefused(ORDER, sold_out="Raku teapot"), "Sorry, Raku teapot is sold out", "faster"),
    ],
)
def test_each_ending_sends_one_mail(
    ending: Any, subject: str, text: str, mailoutbox: list[EmailMessage]
) -> None:
    with transaction.atomic():
        event = publish(ending, key=ORDER.order_id)
    with capture("notifications.mail_sent") as events:
        drain()
        drain()
    assert [(m.subject, m.to) for m in mailoutbox] == [(subject, ["ada@example.org"])]
    assert text in mailoutbox[0].body
    assert "2 × Harbour mug, 16.00 €" in mailoutbox[0].body
    assert mailoutbox[0].extra_headers["Message-ID"] == f"<{event.id}@larkspur.example>"
    assert SentMail.objects.get().subject == subject
    assert [e.data["to"] for e in events] == ["ada@example.org"]
