"""Orders: the pages, the cart, the checkout, and the record of what others report."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from eda_django import publish
from eda_django.models import OutboxEvent
from eda_django.testing import capture, drain
from example_project import catalogue
from example_project.events import Customer, MailSent, StockChanged, StockLevel

from . import progress, services
from .models import Order, OrderStep, Product

pytestmark = pytest.mark.django_db
CARD = "4242 4242 4242 4242"


@pytest.fixture(autouse=True)
def products() -> None:
    services.list_products(listing for listing, _ in catalogue.read())


def checkout(client: Client, **changes: str) -> Any:
    sent = {"name": "Ada", "email": "ada@example.org", "card": CARD, "checkout_id": str(uuid4())}
    return client.post("/checkout/", sent | changes)


def fill(client: Client, sku: str = "mug-moss", quantity: int = 2) -> None:
    client.post("/cart/add/", {"sku": sku, "quantity": quantity})


def place(checkout_id: UUID | None = None) -> Order:
    return services.place_order(
        checkout_id or uuid4(),
        customer=Customer("Ada", "ada@example.org"),
        card_token="tok_works",
        cart={"mug-moss": 2},
    )


def note(order: Order, *names: str) -> None:
    for name in names:
        services.note_step(order.pk, name, at=timezone.now(), detail=name)


# The product list


def test_the_catalogue_is_a_real_shops(client: Client) -> None:
    page = client.get("/").content.decode()
    assert Product.objects.count() >= 30
    assert page.count('<li class="product') == Product.objects.count()
    assert "Harbour mug" in page
    assert "16.00&nbsp;€" in page


def test_every_product_has_a_picture() -> None:
    drawn = (catalogue.FILE.parent / "static" / "shapes.svg").read_text()
    known = set(re.findall(r'<symbol id="(\w+)"', drawn))
    assert set(Product.objects.values_list("shape", flat=True)) <= known


@pytest.mark.parametrize(
    ("quantity", "badge"), [(0, "Sold out"), (3, "Only 3 left"), (5, "Only 5 left")]
)
def test_the_list_says_what_inventory_has_told(client: Client, quantity: int, badge: str) -> None:
    assert badge not in client.get("/").content.decode()
    with transaction.atomic():
        publish(StockChanged((StockLevel("mug-moss", quantity, 1),)))
    drain()
    assert badge in client.get("/").content.decode()


def test_an_older_level_that_comes_late_is_passed_over() -> None:
    services.note_levels([StockLevel("mug-moss", 7, 3)])
    services.note_levels([StockLevel("mug-moss", 9, 2)])
    assert Product.objects.get(sku="mug-moss").stock == 7


# The cart


def test_a_cart_is_filled_and_emptied(client: Client) -> None:
    assert "There is nothing in it yet" in client.get("/cart/").content.decode()
    added = client.post("/cart/add/", {"sku": "mug-moss", "quantity": 2})
    assert added["Location"] == "/#mug-moss"
    fill(client, quantity=1)
    page = client.get("/cart/").content.decode()
    assert "3 × 16.00&nbsp;€" in page
    assert "48.00&nbsp;€" in page
    assert client.post("/cart/remove/", {"sku": "mug-moss"})["Location"] == "/cart/"
    assert "There is nothing in it yet" in client.get("/cart/").content.decode()


@pytest.mark.parametrize("wrong", [{"sku": "no-such"}, {"quantity": "0"}, {"quantity": "many"}])
def test_what_can_not_be_bought_is_refused_politely(client: Client, wrong: dict[str, str]) -> None:
    answer = client.post("/cart/add/", {"sku": "mug-moss", "quantity": "1"} | wrong, follow=True)
    assert "That could not be put into the cart." in answer.content.decode()
    assert client.session.get("cart", {}) == {}


def test_every_form_of_the_shop_is_protected() -> None:
    strict = Client(enforce_csrf_checks=True)
    for address in ("/cart/add/", "/cart/remove/", "/checkout/"):
        assert strict.post(address, {"sku": "mug-moss"}).status_code == 403


# The checkout


def test_a_checkout_is_confirmed_at_once_and_published_with_the_order(client: Client) -> None:
    fill(client)
    with capture() as events:
        answer = checkout(client)
    order = Order.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/orders/{order.pk}/")
    assert [(e.type, e.key) for e in events] == [("orders.order_placed", str(order.pk))]
    assert events[0].data["order"]["total"] == "32.00"
    assert "Thank you, your order is in" in client.get(answer["Location"]).content.decode()
    assert client.session["cart"] == {}


def test_no_card_number_is_stored_anywhere(client: Client) -> None:
    fill(client)
    checkout(client)
    stored = f"{Order.objects.values()} {OutboxEvent.objects.values('data', 'headers')}"
    assert "tok_works" in stored
    assert not re.search(r"4242\D?4242", stored)


def test_a_checkout_sent_twice_makes_one_order_and_one_event(client: Client) -> None:
    fill(client)
    checkout_id = str(uuid4())
    first = checkout(client, checkout_id=checkout_id)
    fill(client)
    second = checkout(client, checkout_id=checkout_id)
    assert first["Location"] == second["Location"]
    assert Order.objects.get().lines.get().quantity == 2
    assert OutboxEvent.objects.filter(type="orders.order_placed").count() == 1


def test_a_checkout_sent_again_publishes_nothing_once_its_event_was_pruned() -> None:
    """The idempotency key went with the event, so nothing but the order can tell."""
    order = place()
    OutboxEvent.objects.all().delete()
    with capture() as events:
        assert place(order.pk) == order
    assert events == []
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_checkout_sent_twice_at_the_same_moment_makes_one_order() -> None:
    checkout_id, start = uuid4(), Barrier(4)

    def send(_: int) -> UUID:
        try:
            start.wait()
            return place(checkout_id).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(send, range(4))) == {checkout_id}
    assert Order.objects.get().lines.count() == 1
    assert OutboxEvent.objects.filter(type="orders.order_placed").count() == 1


def test_two_orders_of_one_visitor_are_two(client: Client) -> None:
    for _ in range(2):
        fill(client)
        checkout(client)
    assert Order.objects.count() == 2


def test_an_empty_cart_can_not_be_ordered(client: Client) -> None:
    assert checkout(client)["Location"] == "/cart/"
    assert not Order.objects.exists()
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"card": "1234"}, "This demo takes the test cards only."),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
    ],
)
def test_a_wrong_checkout_says_why_and_keeps_the_cart(
    client: Client, wrong: dict[str, str], message: str
) -> None:
    fill(client)
    answer = checkout(client, **wrong)
    assert answer.status_code == 400
    assert message in answer.content.decode()
    assert client.session["cart"] == {"mug-moss": 2}
    assert not Order.objects.exists()


# How far an order is


@pytest.mark.parametrize(
    ("noted", "state", "finished"),
    [
        ((), "placed", False),
        (("reserved",), "reserved", False),
        (("reserved", "paid"), "paid", False),
        (("reserved", "paid", "invoiced"), "paid", False),
        (("mailed", "invoiced", "paid", "reserved"), "confirmed", True),
        (("paid",), "paid", False),
        (("reserved", "declined"), "cancelled", False),
        (("mailed", "released", "declined", "reserved"), "cancelled", True),
        (("refused",), "sold_out", False),
        (("mailed", "refused"), "sold_out", True),
    ],
)
def test_the_state_follows_from_the_steps_in_any_order(
    noted: tuple[str, ...], state: str, finished: bool
) -> None:
    order = place()
    note(order, *noted)
    found = progress.of(order)
    assert (found.state, found.finished) == (state, finished)
    assert {s.name for s in found.steps if s.state in ("done", "failed")} == {"placed", *noted}


def test_the_status_has_every_step(client: Client) -> None:
    order = place()
    note(order, "reserved")
    status = client.get(f"/orders/{order.pk}/status.json").json()
    assert (status["state"], status["finished"]) == ("reserved", False)
    assert [(s["name"], s["state"]) for s in status["steps"]] == [
        ("placed", "done"),
        ("reserved", "done"),
        ("paid", "waiting"),
        ("invoiced", "upcoming"),
        ("mailed", "upcoming"),
    ]
    assert status["steps"][1]["detail"] == "reserved"
    assert status["steps"][1]["title"] == "Stock reserved"
    assert status["steps"][1]["at"].startswith(str(timezone.now().year))
    assert status["steps"][2]["at"] is None


def test_what_is_reported_is_noted_once_with_the_events_time() -> None:
    order_id = uuid4()
    with transaction.atomic():
        event = publish(MailSent(order_id, subject="Hello", to="ada@example.org"))
    drain()
    drain()
    step = OrderStep.objects.get()
    assert (step.order_id, step.name, step.detail) == (
        order_id,
        "mailed",
        "“Hello” to ada@example.org.",
    )
    assert abs(step.at - event.time) < timedelta(milliseconds=1)


@pytest.mark.parametrize("page", ["", "status.json"])
def test_an_order_that_is_not_there_is_not_found(client: Client, page: str) -> None:
    assert client.get(f"/orders/{uuid4()}/{page}").status_code == 404


@pytest.mark.parametrize("address", ["/", "/cart/", "/checkout/", "/cart/add/", "/cart/remove/"])
def test_pages_answer_only_to_the_method_they_are_for(client: Client, address: str) -> None:
    wrong: Callable[..., Any] = client.post if address in ("/", "/cart/") else client.get
    assert wrong(address).status_code == 405


def test_an_order_adds_up() -> None:
    order = place()
    assert order.total == Decimal("32.00")
    assert [(line.sku, line.sum) for line in order.lines.all()] == [("mug-moss", Decimal("32.00"))]
