"""What there is to see in the shop, and on which screens: every page, in its states."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import expect

from example_project.demo import customers
from example_project.demo.customers import Plan
from example_project.demo.switches import Switches
from tests.demo import SKU, DemoProcess
from tests.waiting import eventually

from .customers import Customer
from .shop import settle, start_afresh

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

# Three of this are there, and one customer takes them all.
SCARCE = "plant-olive"
PLANS = {
    "finished": Plan(number=1, sku=SCARCE, quantity=3),
    "declined": Plan(number=2, sku=SKU, card=customers.DECLINED),
    "stuck": Plan(number=3, sku=SKU, card=customers.BROKEN),
}
WAITS = Plan(number=4, sku=SKU)
HEADLINES = {
    "finished": "All done",
    "declined": "Cancelled",
    "stuck": "This takes a little longer",
    "waiting": "Put aside for you",
}


@pytest.fixture(scope="module")
def orders(stand: DemoProcess) -> Iterator[dict[str, str]]:
    """The pages of orders that ended, each in its way, and of one for which payments is stopped."""
    start_afresh(stand)
    pages = {name: place_order(stand, plan) for name, plan in PLANS.items()}
    settle(stand)
    switches = Switches(stand.folder / "switches")
    switches.turn("payments", on=False)
    try:
        eventually(lambda: stand.pid_of("rqworker payments") is None, "the end of payments")
        yield pages | {"waiting": place_order(stand, WAITS)}
    finally:
        switches.turn("payments", on=True)


def place_order(demo: DemoProcess, plan: Plan) -> str:
    """Order without a browser, and return the order's page."""
    visit = customers.visit(plan, demo.address())
    assert not visit.error
    (order_id,) = visit.order_ids
    return f"orders/{order_id}/"


@pytest.mark.usefixtures("orders")
def test_the_shelves_on_desktop_and_phone_in_light_and_dark(customer: Customer) -> None:
    customer.choose(0)
    customer.hold_notes()
    expect(customer.page.locator(".note")).to_have_text("Harbour mug is in your cart.")
    expect(customer.page.locator(f"#{SCARCE} .badge")).to_have_text("Sold out")
    expect(customer.page.locator(".badge.few").first).to_contain_text("left")
    customer.inspect("products")
    assert customer.sticking_out() == []
    assert customer.complaints == []


def test_the_cart_on_desktop_and_phone_in_light_and_dark(customer: Customer) -> None:
    customer.open("cart/")
    customer.inspect("cart-empty")
    for product in range(2):
        customer.choose(product)
    customer.open("cart/")
    customer.inspect("cart")
    customer.fill_in(card="4111 1111 1111 1111")
    customer.check_out()
    expect(customer.page.locator(".error")).to_have_text("This demo takes the test cards only.")
    customer.inspect("cart-refused")
    assert customer.complaints == [customer.refusal("400 (Bad Request)")]


@pytest.mark.parametrize("name", HEADLINES)
def test_an_order_on_desktop_and_phone_in_light_and_dark(
    name: str, customer: Customer, orders: dict[str, str]
) -> None:
    customer.open(orders[name])
    expect(customer.page.get_by_role("heading", level=1)).to_have_text(HEADLINES[name])
    customer.inspect(f"order-{name}")
    assert customer.complaints == []


def test_copies_on_desktop_and_phone_in_light_and_dark(
    customer: Customer, orders: dict[str, str]
) -> None:
    customer.open(orders["finished"])
    customer.page.get_by_role("button", name="Deliver these events again").click()
    # All services but payments have taken theirs.
    expect(customer.page.get_by_text("taken, and passed over")).to_have_count(8)
    expect(customer.page.get_by_text("waits for its worker")).to_have_count(1)
    customer.inspect("copies")
    assert customer.complaints == []


@pytest.mark.usefixtures("orders")
def test_services_on_desktop_and_phone_in_light_and_dark(customer: Customer) -> None:
    customer.open("services/")
    customer.expect_service("payments", "down")
    numbers = customer.page.locator("[data-service=payments] .numbers dd")
    expect(numbers).to_have_text(["1", "0", "1"])
    customer.inspect("services")
    assert customer.complaints == []


def test_a_button_that_is_pressed_stays_until_it_is_let_go(customer: Customer) -> None:
    """What changes meanwhile is drawn afterwards; else the click would be lost."""
    page = customer.page
    looks = count()
    page.route("**/status.json", lambda route: route.fulfill(json={"look": next(looks)}))
    customer.open("services/")
    button = page.locator("#switch-billing")
    button.evaluate("one => { one.dataset.seen = 'yes' }")
    expect(page.locator("#switch-billing:not([data-seen])")).to_be_visible()
    button.hover()
    page.mouse.down()
    # Not before: until it is pressed it may be drawn anew.
    button.evaluate("one => { one.dataset.seen = 'yes' }")
    for _ in range(3):
        # The page is asked for whenever the status is another one.
        with page.expect_response(page.url):
            pass
    expect(page.locator("#switch-billing[data-seen]")).to_be_visible()
    page.mouse.move(0, 0)
    page.mouse.up()
    expect(page.locator("#switch-billing:not([data-seen])")).to_be_visible()
    assert customer.complaints == []


def test_a_page_that_is_not_there_on_desktop_and_phone_in_light_and_dark(
    customer: Customer,
) -> None:
    assert customer.open("gone/") == 404
    expect(customer.page.get_by_role("heading", level=1)).to_have_text("That is not here")
    customer.inspect("not-found")
    assert customer.complaints == [customer.refusal("404 (Not Found)")]


def test_a_picture_is_taken_where_somebody_wants_to_look(
    customer: Customer, tmp_path: Path
) -> None:
    customer.open("")
    customer.screenshots = None
    customer.shoot("products")
    customer.screenshots = tmp_path
    customer.shoot("products")
    [picture] = tmp_path.iterdir()
    assert picture.name == "shop-products-desktop-light.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
