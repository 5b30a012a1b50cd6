"""Inventory: reserving, refusing, releasing, and telling how much is left."""

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from eda_django import publish
from eda_django.testing import capture, drain
from example_project.events import Line, OrderFacts, PaymentDeclined
from example_project.testing import facts, placed

from . import services
from .models import Release, Reservation, Stock

pytestmark = pytest.mark.django_db


def test_an_order_takes_its_stock_once_and_says_so() -> None:
    services.stock_up({"mug": 5})
    order = facts(quantity=2)
    with capture() as events:
        services.reserve(placed(order))
    assert [(e.type, e.key) for e in events] == [
        ("inventory.stock_reserved", str(order.order_id)),
        ("inventory.stock_changed", ""),
    ]
    assert events[1].data == {"levels": [{"sku": "mug", "quantity": 3, "revision": 2}]}
    assert Stock.objects.get().quantity == 3
    assert Reservation.objects.get().quantity == 2


def test_the_reservation_passes_the_card_token_on_and_hides_it_nowhere_else() -> None:
    services.stock_up({"mug": 5})
    with capture("inventory.stock_reserved") as events:
        services.reserve(placed(facts(), card_token="tok_declined"))
    assert events[0].data["card_token"] == "tok_declined"


def test_what_is_too_much_is_refused_and_takes_nothing() -> None:
    services.stock_up({"mug": 5, "pan": 1})
    lines = (Line("mug", "Mug", 1, facts().total), Line("pan", "Iron pan", 2, facts().total))
    base = facts()
    order = OrderFacts(base.order_id, base.customer, lines, base.total)
    with capture() as events:
        services.reserve(placed(order))
    assert [e.type for e in events] == ["inventory.stock_refused"]
    assert events[0].data["sold_out"] == "Iron pan"
    assert {s.sku: s.quantity for s in Stock.objects.all()} == {"mug": 5, "pan": 1}
    assert not Reservation.objects.exists()


def test_the_last_piece_is_sold_once() -> None:
    services.stock_up({"mug": 1})
    with capture("inventory.stock_refused", "inventory.stock_reserved") as events:
        services.reserve(placed(facts(quantity=1)))
        services.reserve(placed(facts(quantity=1)))
    assert [e.type for e in events] == ["inventory.stock_reserved", "inventory.stock_refused"]
    assert Stock.objects.get().quantity == 0


def test_a_declined_card_puts_back_what_was_reserved() -> None:
    services.stock_up({"mug": 5})
    order = facts(quantity=2)
    services.reserve(placed(order))
    with transaction.atomic():
        publish(PaymentDeclined(order, "No."), key=order.order_id)
    with capture("inventory.stock_released") as events:
        drain()
    assert Stock.objects.get().quantity == 5
    assert Release.objects.get().quantity == 2
    assert events[0].data == {"order_id": str(order.order_id), "items": 2}


def test_stocking_up_twice_changes_nothing_the_second_time() -> None:
    assert services.stock_up({"mug": 5}) == 1
    with capture() as events:
        assert services.stock_up({"mug": 9}) == 0
    assert events == []
    assert Stock.objects.get().quantity == 5


def test_a_quantity_corrected_in_the_admin_is_told_to_the_others(client: Client) -> None:
    services.stock_up({"mug": 5})
    client.force_login(get_user_model().objects.create_superuser("a", "a@example.org", "a"))
    stock = Stock.objects.get()
    page = f"/admin/inventory/stock/{stock.pk}/change/"
    with capture() as events:
        assert client.post(page, {"sku": "mug", "quantity": "7"}).status_code == 302
    assert events[0].data == {"levels": [{"sku": "mug", "quantity": 7, "revision": 2}]}
