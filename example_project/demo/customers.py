"""Customers who order through the shop's pages, as a crowd would."""

import random
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from urllib.error import HTTPError, URLError
from uuid import UUID

from .errors import DemoError
from .pages import Browser, Form, Page

AT_ONCE = 6
WORKS, DECLINED, STUMBLES, BROKEN = (
    "4242424242424242",
    "4000000000000002",
    "4000000000000119",
    "4000000000000259",
)
ORDER_PAGE = re.compile(r"/orders/([0-9a-f-]{36})/$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a customer is going to do. `clicks` is how often checkout is clicked, all at once."""

    number: int
    sku: str
    quantity: int = 1
    card: str = WORKS
    clicks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What came of it: an order, or why there is none."""

    plan: Plan
    order_ids: frozenset[UUID] = frozenset()
    error: str = ""


def plans(count: int, stock: Mapping[str, int]) -> list[Plan]:
    """Return the same mixed crowd for the same numbers; `stock` says what there is of each sku."""
    # Seeded, so that a run that showed something can be had again.
    chance = random.Random(count)
    shelves = sorted((left, sku) for sku, left in stock.items() if left > 0)
    if not shelves:
        raise DemoError(
            "The shop on this database is sold out, so nobody can order anything. Name an empty "
            "database, or leave DATABASE_URL out: then the demo uses a SQLite file of its own."
        )
    scarce_left, scarce = shelves[0]
    plenty = [sku for _, sku in shelves[1:]] or [scarce]
    crowd = [
        Plan(number=number, sku=chance.choice(plenty), quantity=chance.choice((1, 1, 1, 2, 3)))
        for number in range(1, count + 1)
    ]
    # Together they want more than there is, so at least the last of them gets nothing.
    rivals = max(2, count // 10)
    share = scarce_left // rivals + 1
    rest = iter(range(count))
    for index, _ in zip(rest, range(rivals), strict=False):
        crowd[index] = replace(crowd[index], sku=scarce, quantity=share)
    for card, customers in ((BROKEN, 1), (DECLINED, count // 10 + 1), (STUMBLES, count // 12 + 1)):
        for index, _ in zip(rest, range(customers), strict=False):
            crowd[index] = replace(crowd[index], card=card)
    chance.shuffle(crowd)
    return [replace(plan, clicks=2 if number % 7 == 0 else 1) for number, plan in enumerate(crowd)]


def send(
    crowd: list[Plan], *, address: str, on_visit: Callable[[Visit], None] = lambda visit: None
) -> list[Visit]:
    """Send everybody in, a few at a time; `on_visit` is called as each leaves."""
    visits = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="customer") as pool:
        try:
            for future in as_completed([pool.submit(visit, plan, address) for plan in crowd]):
                visits.append(future.result())
                on_visit(visits[-1])
        finally:
            pool.shutdown(cancel_futures=True)
    return visits


def visit(plan: Plan, address: str) -> Visit:
    """Choose, fill the cart, check out."""
    try:
        return _shop(plan, Browser(address))
    except HTTPError as error:
        with error:
            return Visit(plan=plan, error=f"{error.url} answered {error.code} {error.reason}")
    except (URLError, OSError) as error:
        return Visit(plan=plan, error=f"{address} can't be reached: {error}")


def _shop(plan: Plan, browser: Browser) -> Visit:
    shelf = browser.get("/").form("/cart/add/", sku=plan.sku)
    if shelf is None:
        return Visit(plan=plan, error=f"{plan.sku!r} is not for sale")
    browser.send(shelf, quantity=str(plan.quantity))
    counter = browser.get("/cart/").form("/checkout/")
    if counter is None:
        return Visit(plan=plan, error="the cart has no way to the checkout")
    pages = _click(plan, browser, counter)
    found = [ORDER_PAGE.search(page.url) for page in pages]
    if None in found:
        return Visit(plan=plan, error=f"checkout led to {[page.url for page in pages]}")
    return Visit(plan=plan, order_ids=frozenset(UUID(match[1]) for match in found if match))


def _click(plan: Plan, browser: Browser, counter: Form) -> list[Page]:
    """Send the same checkout as often as it is clicked, without waiting for an answer."""
    with ThreadPoolExecutor(plan.clicks) as pool:
        clicks = [
            pool.submit(
                browser.send,
                counter,
                name=f"Customer {plan.number}",
                email=f"customer{plan.number}@example.com",
                card=plan.card,
            )
            for _ in range(plan.clicks)
        ]
    return [click.result() for click in clicks]
