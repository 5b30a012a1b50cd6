"""Payments: charged once, declined, tried again, given up."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction

from eda_django import publish
from eda_django.models import Attempt, Delivery, Status
from eda_django.testing import capture, drain
from example_project import gateway
from example_project.events import StockReserved
from example_project.testing import facts, make_due

from .models import Charge, Outcome

pytestmark = pytest.mark.django_db


def reserve(card_token: str) -> None:
    order = facts()
    with transaction.atomic():
        publish(StockReserved(order, card_token), key=order.order_id)


def charging() -> Delivery:
    return Delivery.objects.get(queue="payments")


def test_a_card_that_works_is_charged_once() -> None:
    reserve("tok_works")
    with capture("payments.payment_captured") as events:
        drain()
        drain()
    charge = Charge.objects.get()
    assert (charge.amount, charge.outcome) == (Decimal("32.00"), Outcome.CAPTURED)
    assert [e.data["reference"] for e in events] == [charge.reference]
    assert "tok_works" not in str(events[0].data)


def test_a_declined_card_is_an_answer_and_no_failure() -> None:
    reserve("tok_declined")
    with capture("payments.payment_declined") as events:
        drain()
    assert [e.data["reason"] for e in events] == ["The bank declined the card."]
    assert Charge.objects.get().outcome == Outcome.DECLINED
    assert charging().status == Status.SUCCEEDED


def test_a_gateway_that_stumbles_is_asked_again() -> None:
    reserve("tok_flaky")
    drain()
    assert not Charge.objects.exists()
    assert charging().status == Status.PENDING
    assert make_due() == 1
    drain()
    assert (Charge.objects.get().attempt, charging().attempts) == (2, 2)


def test_a_gateway_that_stays_down_ends_as_a_dead_letter() -> None:
    reserve("tok_down")
    with capture("payments.payment_captured", "payments.payment_declined") as events:
        for _ in range(5):
            drain()
            make_due()
    assert charging().status == Status.DEAD
    assert [a.number for a in Attempt.objects.order_by("number")] == [1, 2, 3]
    assert events == []
    assert not Charge.objects.exists()


def test_the_gateway_answers_the_same_request_with_the_same_charge() -> None:
    first, other = uuid4(), uuid4()
    references = [
        gateway.charge("tok_works", Decimal("1.00"), request_id=request, attempt=1)
        for request in (first, first, other)
    ]
    assert references[0] == references[1] != references[2]


@pytest.mark.parametrize("number", [number for number, _, _ in gateway.TEST_CARDS])
def test_a_token_tells_nothing_of_its_card(number: str) -> None:
    token = gateway.tokenize(number)
    assert not any(c.isdigit() for c in token)
    assert gateway.tokenize(number.replace(" ", "-")) == token


def test_a_card_that_the_gateway_does_not_know_gets_no_token() -> None:
    with pytest.raises(gateway.UnknownCard, match="test cards only"):
        gateway.tokenize("1234 5678 9012 3456")
