"""From publish() to the subscribers' effects, with relays and workers as real processes."""

import pytest
from django.db import connection

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from tests.integration import ordering
from tests.integration.ordering import SUBSCRIBERS, place_orders
from tests.integration.processes import Processes
from tests.testapp.models import Effect, Order
from tests.waiting import eventually

pytestmark = pytest.mark.processes

ORDERS = 120


def test_each_committed_order_reaches_each_subscriber_once(processes: Processes) -> None:
    """G1, G2, G3, G12: with several relays, where the database lets several write."""
    for _ in range(1 if connection.vendor == "sqlite" else 2):
        processes.relay()
    for _ in range(2):
        processes.worker("fast", "slow")
    placed = place_orders(ORDERS)
    assert len(placed) == Order.objects.count() == OutboxEvent.objects.count() == 80
    total = len(placed) * len(SUBSCRIBERS)
    eventually(lambda: ordering.settled(total))
    assert ordering.statuses() == {Status.SUCCEEDED: total}
    assert ordering.effects() == ordering.expected_notes(placed)

    # The first attempt wrote, too, and failed: only the second left something.
    bills = Delivery.objects.filter(subscriber="testapp.bill")
    assert set(bills.values_list("attempts", flat=True)) == {2}
    assert set(Effect.objects.filter(subscriber="testapp.bill").values_list("attempt")) == {(2,)}
    kept = Attempt.objects.values_list("delivery__subscriber", "number", "error_class")
    assert list(kept) == [("testapp.bill", 1, "RuntimeError")] * len(placed)
    others = Delivery.objects.exclude(subscriber="testapp.bill")
    assert set(others.values_list("attempts", flat=True)) == {1}
