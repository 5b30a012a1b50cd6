"""Billing: one invoice for each payment."""

from decimal import Decimal

import pytest
from django.db import transaction

from eda_django import publish
from eda_django.testing import capture, drain
from example_project.events import PaymentCaptured
from example_project.testing import facts

from .models import Invoice

pytestmark = pytest.mark.django_db


def test_a_payment_gets_one_invoice_which_is_announced() -> None:
    order = facts()
    with transaction.atomic():
        publish(PaymentCaptured(order, reference="ch_1"), key=order.order_id)
    with capture("billing.invoice_written") as events:
        drain()
        drain()
    invoice = Invoice.objects.get()
    assert (invoice.order_id, invoice.customer) == (order.order_id, "Ada")
    assert invoice.total == Decimal("32.00")
    assert [(e.key, e.data["number"]) for e in events] == [(str(order.order_id), invoice.number)]


def test_invoices_are_numbered_by_year() -> None:
    invoice = Invoice.objects.create(order_id=facts().order_id, customer="Ada", total=1)
    assert invoice.number == f"{invoice.at:%Y}-{invoice.pk:05d}"
