"""The story that the whole architecture is for: stop a service, order, see it wait and finish."""

import pytest
from playwright.sync_api import expect

from .customers import Customer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.once,
    pytest.mark.usefixtures("demo"),
]

STEPS = ("placed", "reserved", "paid", "invoiced", "mailed")


def test_orders_are_confirmed_while_a_service_is_down_and_finish_when_it_is_back(
    customer: Customer,
) -> None:
    customer.open("")
    customer.shoot("products")
    # All is well: every step comes by itself, on a page that is loaded once.
    customer.order(0)
    loads = customer.loads
    for name in STEPS:
        customer.expect_step(name, "done")
    assert customer.loads == loads
    customer.shoot("order-finished")

    # Once more, and nothing comes of it; on a phone that is to be seen, too.
    customer.page.get_by_role("button", name="Deliver these events again").click()
    customer.look("phone", "light")
    started = customer.page.locator("td.number")
    expect(started).to_have_text(["1 ×"] * 9)
    assert all(row.is_visible() for row in started.all())
    customer.shoot("copies")
    customer.look("desktop", "light")

    customer.open("services/")
    customer.expect_service("payments", "up")
    customer.page.locator("#switch-payments").click()
    customer.expect_service("payments", "down")

    # Confirmed at once, all the same. Then the card is what it waits for.
    paths = [customer.order(1), customer.order(2)]
    customer.expect_step("placed", "done")
    customer.expect_step("reserved", "done")
    customer.expect_step("paid", "waiting")
    customer.expect_step("mailed", "upcoming")
    customer.shoot("order-waiting")

    services = Customer(customer.context, customer.address, customer.screenshots)
    waiting = services.page.locator("[data-service=payments] [data-waiting]")
    services.open("services/")
    services.expect_service("payments", "down")
    expect(waiting).to_have_text("2")
    services.shoot("services-payments-down")

    loads = customer.loads
    services.page.locator("#switch-payments").click()
    services.expect_service("payments", "up")
    expect(waiting).to_have_text("0")
    services.shoot("services-all-up")
    customer.page.bring_to_front()
    for name in STEPS:
        customer.expect_step(name, "done")
    assert customer.loads == loads, "the order's page was loaded again"
    customer.open(paths[0])
    for name in STEPS:
        customer.expect_step(name, "done")
    assert customer.complaints + services.complaints == []
