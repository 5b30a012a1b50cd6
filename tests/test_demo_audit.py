"""The demo's books: the tally counts, and the audit finds what can be wrong."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import transaction

from eda_django import publish
from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.testing import drain
from example_project.billing.models import Invoice
from example_project.demo.audit import Audit, Opening, audit
from example_project.demo.books import Books
from example_project.demo.tally import Tally, last_event, tally
from example_project.events import Customer
from example_project.inventory.models import Release, Reservation, Stock
from example_project.notifications.models import SentMail
from example_project.orders.models import Order, OrderStep
from example_project.orders.services import place_order
from example_project.payments.models import Charge
from tests.demo import SKU


@pytest.fixture
def opening(db: None) -> Opening:
    call_command("load_shop", verbosity=0)
    drain()
    return Opening.now()


def place(card: str = "tok_works", *, quantity: int = 1) -> Order:
    """Place an order and let everything happen that it causes."""
    order = place_order(
        uuid4(),
        customer=Customer("Ada", "ada@example.com"),
        card_token=card,
        cart={SKU: quantity},
    )
    drain()
    return order


def dead_letter(order: Order, queue: str) -> None:
    rows = Delivery.objects.filter(queue=queue, event__key=str(order.pk))
    assert rows.update(status=Status.DEAD)


def test_the_audit_finds_nothing_wrong_with_good_books(opening: Opening) -> None:
    place()
    place("tok_declined")
    place(quantity=99)
    seen = [{pk} for pk in Order.objects.values_list("pk", flat=True)]
    assert audit(opening, seen) == Audit(placed=3, paid=1, declined=1, sold_out=1)


def test_the_audit_counts_only_what_came_after_the_opening(opening: Opening) -> None:
    place()
    assert audit(Opening.now()) == Audit()


def test_dead_letters_of_others_in_the_same_database_explain_nothing(opening: Opening) -> None:
    order = place()
    with transaction.atomic():
        publish("other.happened", {}, key="customer-7")
    foreign = OutboxEvent.objects.get(type="other.happened")
    Delivery.objects.create(event=foreign, subscriber="o.sub", queue="o", status=Status.DEAD)
    dead_letter(order, "billing")
    found = Books(Order.objects.values_list("pk", flat=True))
    assert found.dead == {order.pk: {"billing"}}


@pytest.mark.parametrize(
    ("model", "service"),
    [
        (Charge, "1 charge too many"),
        (Invoice, "1 invoice too many"),
        (SentMail, "1 mail too many"),
        (Reservation, "reservation of 1 × "),
        (OrderStep, "step '"),
    ],
)
def test_the_audit_finds_a_doubled_row(opening: Opening, model: Any, service: str) -> None:
    order = place()
    row = model.objects.filter(order_id=order.pk).first()
    row.pk = None
    row.save(force_insert=True)
    found = audit(opening)
    assert f"order {order.pk}" in found.doubled[0]
    assert service in found.doubled[0]
    assert not found.lost


@pytest.mark.parametrize(
    ("model", "card", "what"),
    [
        (Charge, "tok_works", "no charge"),
        (Invoice, "tok_works", "no invoice"),
        (SentMail, "tok_works", "no mail"),
        (Release, "tok_declined", "no release of 1 × "),
        (SentMail, "tok_declined", "no mail"),
    ],
)
def test_the_audit_finds_a_missing_row(opening: Opening, model: Any, card: str, what: str) -> None:
    order = place(card)
    model.objects.filter(order_id=order.pk).delete()
    found = audit(opening)
    assert found.lost[0].startswith(f"order {order.pk}: {what}")


def test_the_audit_finds_an_order_of_which_nothing_came(opening: Opening) -> None:
    order = place()
    for model in (Reservation, Charge, Invoice, SentMail, OrderStep):
        model._default_manager.filter(order_id=order.pk).delete()
    Stock.objects.put_back(SKU, 1)
    assert f"order {order.pk}: no mail" in audit(opening).lost


def test_a_dead_letter_explains_what_waits_for_it(opening: Opening) -> None:
    order = place()
    dead_letter(order, "billing")
    for model in (Invoice, SentMail):
        model._default_manager.filter(order_id=order.pk).delete()
    OrderStep.objects.filter(name__in=["invoiced", "mailed"]).delete()
    assert audit(opening) == Audit(placed=1, stuck=1)


@pytest.mark.parametrize(
    ("queue", "before", "step"),
    [
        ("notifications", Invoice, "invoiced"),
        ("billing", Charge, "paid"),
        ("payments", None, "reserved"),
    ],
)
def test_a_dead_letter_explains_nothing_that_comes_before_it(
    opening: Opening, queue: str, before: Any, step: str
) -> None:
    order = place()
    dead_letter(order, queue)
    lost = [f"order {order.pk}: no step '{step}'"]
    OrderStep.objects.filter(name=step).delete()
    if before:
        before.objects.filter(order_id=order.pk).delete()
        lost.append(f"order {order.pk}: no {before._meta.verbose_name}")
    assert sorted(audit(opening).lost) == sorted(lost)


def test_a_dead_letter_of_the_orders_explains_steps_alone(opening: Opening) -> None:
    order = place()
    dead_letter(order, "orders")
    OrderStep.objects.all().delete()
    SentMail.objects.all().delete()
    assert audit(opening).lost == [f"order {order.pk}: no mail"]


def test_the_audit_reckons_the_stock(opening: Opening) -> None:
    place()
    left = Stock.objects.get(sku=SKU).quantity
    Stock.objects.filter(sku=SKU).update(quantity=left - 1)
    found = audit(opening)
    assert found.doubled == [f"stock of {SKU} is {left - 1}, not {left + 1} - 1 + 0"]
    assert found.lost == [f"the product list has {left} of {SKU}, inventory {left - 1}"]


def test_the_audit_finds_an_order_that_was_confirmed_and_is_not_there(opening: Opening) -> None:
    ghost = uuid4()
    assert audit(opening, [{ghost}]).lost == [f"order {ghost} was confirmed and is not there"]


def test_the_audit_finds_two_orders_of_one_checkout(opening: Opening) -> None:
    both = {place().pk, place().pk}
    assert "one checkout made 2 orders" in audit(opening, [both]).doubled[0]


def test_the_tally_counts_what_came_after_an_event(opening: Opening) -> None:
    since = last_event()
    assert tally(since) == Tally(published=0, waiting=0, delivered=0, retried=0, dead=0)
    place_order(
        uuid4(),
        customer=Customer("Ada", "ada@example.com"),
        card_token="tok_works",
        cart={SKU: 1},
    )
    assert (tally(since).published, tally(since).waiting) == (1, 1)
    drain()
    counts = tally(since)
    assert (counts.waiting, counts.dead, counts.retried) == (0, 0, 0)
    assert counts.delivered == Delivery.objects.filter(event_id__gt=since).count()
    Delivery.objects.filter(event_id__gt=since).update(status=Status.DEAD)
    assert tally(since).dead == counts.delivered


def test_the_tally_sees_events_and_deliveries_in_the_same_moment(
    opening: Opening, django_assert_num_queries: Any
) -> None:
    """A second statement would miss what a delivery that succeeds in between has published."""
    with django_assert_num_queries(2) as queries:
        tally(0)
    first, second = (query["sql"] for query in queries.captured_queries)
    assert "eda_django_outboxevent" in first
    assert "eda_django_delivery" in first
    assert "eda_django_attempt" in second
