"""Writing invoices."""

from eda_django import publishes
from example_project.events import InvoiceWritten, OrderFacts

from .models import Invoice


@publishes(InvoiceWritten, key=lambda written: written.order.order_id)
def write_invoice(order: OrderFacts) -> InvoiceWritten:
    """Write the invoice of a paid order."""
    invoice = Invoice.objects.create(
        order_id=order.order_id, customer=order.customer.name, total=order.total
    )
    return InvoiceWritten(order, number=invoice.number)
