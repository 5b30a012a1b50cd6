"""Customers of the shop, who order and watch what becomes of it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, expect

from .visitors import Visitor


class Customer(Visitor):
    """Somebody at the shop."""

    place = "shop"

    def __init__(self, context: BrowserContext, address: str, screenshots: Path) -> None:
        super().__init__(context, address, screenshots)
        self.loads = 0
        self.page.on("load", self._count)

    def order(self, product: int) -> str:
        """Put a product into the cart, check out, and return the order's path."""
        self.open("")
        self.page.locator("form[action='/cart/add/'] button").nth(product).click()
        self.open("cart/")
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

    def _count(self, page: Page) -> None:
        self.loads += 1
