"""The demo's customers, and the pages they find their way through."""

from typing import Any

import pytest
from django.core.management import call_command

from eda_django.models import OutboxEvent
from example_project.demo import customers
from example_project.demo.customers import Plan, Visit
from example_project.demo.errors import DemoError
from example_project.demo.pages import Page
from example_project.demo.redis_server import free_port
from example_project.orders.models import Order, Product
from tests.demo import SKU

PAGE = """
<form action="/cart/add/" method="post"><input type="hidden" name="csrf" value="a&amp;b">
<input type="hidden" name="sku" value="kettle"><input name="quantity" value="1"></form>
<input name="stray" value="outside of every form">
<form action="/cart/add/" method="post"><input type="hidden" name="sku" value="mug"></form>
<form action="add/"><input name="sku" value="relative"></form>
"""


def test_a_form_is_found_by_where_it_goes_and_what_it_holds() -> None:
    page = Page("http://shop/cart/", PAGE)
    kettle = page.form("/cart/add/", sku="kettle")
    assert kettle
    assert kettle.fields == {"csrf": "a&b", "sku": "kettle", "quantity": "1"}
    mug = page.form("/cart/add/", sku="mug")
    assert mug
    assert mug.fields == {"sku": "mug"}
    assert page.form("/cart/add/", sku="relative")
    assert page.form("/cart/add/", sku="teapot") is None
    assert page.form("/checkout/") is None


@pytest.mark.parametrize("count", [12, 200])
def test_a_crowd_has_every_kind_of_customer(count: int) -> None:
    crowd = customers.plans(count, {"rare": 4, "plenty": 50, "more": 60, "none": 0})
    assert len(crowd) == count
    cards = [plan.card for plan in crowd]
    assert cards.count(customers.BROKEN) == 1
    assert customers.DECLINED in cards
    assert customers.STUMBLES in cards
    assert cards.count(customers.WORKS) > count / 2
    assert {plan.clicks for plan in crowd} == {1, 2}
    assert sum(plan.quantity for plan in crowd if plan.sku == "rare") > 4
    assert {plan.sku for plan in crowd} == {"rare", "plenty", "more"}


def test_the_same_crowd_comes_again() -> None:
    stock = {"rare": 4, "plenty": 50}
    assert customers.plans(30, stock) == customers.plans(30, stock)


def test_customers_are_not_sent_into_a_shop_that_is_sold_out() -> None:
    with pytest.raises(DemoError, match=r"sold out.*leave DATABASE_URL out"):
        customers.plans(5, {"mug": 0})


@pytest.fixture
def shop(transactional_db: None, live_server: Any) -> str:
    call_command("load_shop", verbosity=0)
    return f"{live_server.url}/"


def test_a_customer_orders_through_the_pages(shop: str) -> None:
    visit = customers.visit(Plan(number=7, sku=SKU, quantity=2), shop)
    order = Order.objects.get()
    assert visit.order_ids == {order.pk}
    assert (order.name, order.email) == ("Customer 7", "customer7@example.com")
    assert [(line.sku, line.quantity) for line in order.lines.all()] == [(SKU, 2)]


def test_a_double_click_makes_one_order(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku=SKU, clicks=3), shop)
    assert visit.order_ids == {Order.objects.get().pk}
    assert OutboxEvent.objects.filter(type="orders.order_placed").count() == 1


def test_a_customer_reports_what_is_missing(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku="moon"), shop)
    assert visit.error == "'moon' is not for sale"


def test_a_customer_is_refused_at_checkout(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku=SKU, card="1234"), shop)
    assert not visit.order_ids
    assert "answered 400" in visit.error


def test_a_customer_reports_a_shop_that_is_away() -> None:
    visit = customers.visit(Plan(number=1, sku="mug"), f"http://127.0.0.1:{free_port()}/")
    assert "can't be reached" in visit.error


def test_everybody_is_sent_in_and_told_of(shop: str) -> None:
    skus = Product.objects.values_list("sku", flat=True)[:3]
    crowd = [Plan(number=n, sku=sku) for n, sku in enumerate(skus)]
    left: list[Visit] = []
    visits = customers.send(crowd, address=shop, on_visit=left.append)
    assert visits == left
    assert {visit.plan for visit in visits} == set(crowd)
    assert Order.objects.count() == 3
