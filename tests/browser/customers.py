"""Customers of the shop, who order and watch what becomes of it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, expect

from .visitors import SIZES, Visitor

CARD = "4242 4242 4242 4242"
HOLD_NOTES = """() => document.getAnimations()
    .filter(one => one.effect.target.matches('.note'))
    .forEach(one => { one.pause(); one.currentTime = 0; })
"""
STICKING_OUT = """() => [...document.querySelectorAll('form')]
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)
"""
REFUSED = "Failed to load resource: the server responded with a status of"


class Customer(Visitor):
    """Somebody at the shop."""

    place = "shop"

    def __init__(self, context: BrowserContext, address: str, screenshots: Path | None) -> None:
        super().__init__(context, address, screenshots)
        self.loads = 0
        self.page.on("load", self._count)

    def choose(self, product: int) -> None:
        """Put a product into the cart."""
        self.open("")
        self.page.locator("form[action='/cart/add/'] button").nth(product).click()

    def fill_in(self, *, card: str = CARD) -> None:
        self.page.get_by_label("Name").fill("Ada Lovelace")
        self.page.get_by_label("E-mail").fill("ada@example.com")
        self.page.get_by_label("Card number").fill(card)

    def check_out(self) -> None:
        self.page.get_by_role("button", name=re.compile("^Order for")).click()

    def order(self, product: int) -> str:
        """Put a product into the cart, check out, and return the order's path."""
        self.choose(product)
        self.open("cart/")
        self.fill_in()
        self.check_out()
        self.page.wait_for_url("**/orders/*/")
        return urlsplit(self.page.url).path.lstrip("/")

    def hold_notes(self) -> None:
        """Keep in sight what the shop says and then takes away."""
        self.page.evaluate(HOLD_NOTES)

    def sticking_out(self) -> list[str]:
        """Return what the forms say that have no room for it, on either screen."""
        found: list[str] = []
        for size in SIZES:
            self.look(size, "light")
            found += self.page.evaluate(STICKING_OUT)
        return found

    def refusal(self, status: str) -> str:
        """Return the complaint of the browser itself about a page with this status."""
        return f"console: {REFUSED} {status} {self.page.url}"

    def expect_step(self, name: str, state: str) -> None:
        expect(self.page.locator(f"[data-step={name}]")).to_contain_class(state)

    def expect_service(self, name: str, state: str) -> None:
        card = self.page.locator(f"[data-service={name}]")
        expect(card).to_have_attribute("data-state", state)

    def _count(self, page: Page) -> None:
        self.loads += 1
