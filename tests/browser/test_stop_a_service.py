"""The story that the whole architecture is for: stop a service, order, see it wait and finish."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect

from tests.demo import DemoProcess
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

DESKTOP: ViewportSize = {"width": 1200, "height": 900}
STEPS = ("placed", "reserved", "paid", "invoiced", "mailed")


class Visitor:
    """Somebody at the shop, with a camera, and an eye on what must not happen."""

    def __init__(self, page: Page, address: str, screenshots: Path) -> None:
        self.page = page
        self.address = address
        self.screenshots = screenshots
        self.complaints: list[str] = []
        self.loads = 0
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._check_host)
        page.on("load", self._count)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def shoot(self, name: str) -> None:
        self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)

    def order(self, product: int) -> str:
        """Put a product into the cart, check out, and return the order's path."""
        self.go("")
        self.page.locator("form[action='/cart/add/'] button").nth(product).click()
        self.go("cart/")
        self.page.get_by_label("Name").fill("Ada Lovelace")
        self.page.get_by_label("E-mail").fill("ada@example.com")
        self.shoot("cart")
        self.page.get_by_role("button", name=re.compile("^Order for")).click()
        self.page.wait_for_url("**/orders/*/")
        return urlsplit(self.page.url).path.lstrip("/")

    def expect_step(self, name: str, state: str) -> None:
        expect(self.page.locator(f"[data-step={name}]")).to_contain_class(state)

    def expect_service(self, name: str, state: str) -> None:
        card = self.page.locator(f"[data-service={name}]")
        expect(card).to_have_attribute("data-state", state)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _check_host(self, request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme in ("http", "https", "ws") and not request.url.startswith(self.address):
            self.complaints.append(f"request to {request.url}")

    def _count(self, page: Page) -> None:
        self.loads += 1


@pytest.fixture
def visitor(demo: DemoProcess, chromium: Browser, screenshots: Path) -> Iterator[Visitor]:
    context = chromium.new_context(viewport=DESKTOP)
    yield Visitor(context.new_page(), demo.address(), screenshots)
    context.close()


def test_orders_are_confirmed_while_a_service_is_down_and_finish_when_it_is_back(
    visitor: Visitor,
) -> None:
    visitor.go("")
    visitor.shoot("products")
    # All is well: every step comes by itself, on a page that is loaded once.
    visitor.order(0)
    loads = visitor.loads
    for name in STEPS:
        visitor.expect_step(name, "done")
    assert visitor.loads == loads
    visitor.shoot("order-finished")

    # Once more, and nothing comes of it; on a phone that is to be seen, too.
    visitor.page.get_by_role("button", name="Deliver these events again").click()
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    started = visitor.page.locator("td.number")
    expect(started).to_have_text(["1 ×"] * 9)
    assert all(row.is_visible() for row in started.all())
    visitor.shoot("copies-phone")
    visitor.page.set_viewport_size(DESKTOP)

    visitor.go("services/")
    visitor.expect_service("payments", "up")
    visitor.page.locator("#switch-payments").click()
    visitor.expect_service("payments", "down")

    # Confirmed at once, all the same. Then the card is what it waits for.
    paths = [visitor.order(1), visitor.order(2)]
    visitor.expect_step("placed", "done")
    visitor.expect_step("reserved", "done")
    visitor.expect_step("paid", "waiting")
    visitor.expect_step("mailed", "upcoming")
    visitor.shoot("order-waiting")

    other = visitor.page.context.new_page()
    services = Visitor(other, visitor.address, visitor.screenshots)
    services.go("services/")
    services.expect_service("payments", "down")
    expect(other.locator("[data-service=payments] [data-waiting]")).to_have_text("2")
    services.shoot("services-payments-down")

    loads = visitor.loads
    other.locator("#switch-payments").click()
    services.expect_service("payments", "up")
    expect(other.locator("[data-service=payments] [data-waiting]")).to_have_text("0")
    services.shoot("services-all-up")
    visitor.page.bring_to_front()
    for name in STEPS:
        visitor.expect_step(name, "done")
    assert visitor.loads == loads, "the order's page was loaded again"
    visitor.go(paths[0])
    for name in STEPS:
        visitor.expect_step(name, "done")
    assert visitor.complaints + services.complaints == []
