"""An operator is woken: sees the failure, reads why, mends it, and everyone can read who did it."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from example_project import csp
from tests.browser.operators import Operator, hire, shell
from tests.demo import DemoProcess
from tests.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

DOWN = "4000 0000 0000 0259"
SUBSCRIBER = "example_project.payments.subscribers.charge_card"
COUNT = "from eda_django.models import Delivery; print(Delivery.objects.filter({}).count())"
ORDERS = 4


def count(demo: DemoProcess, condition: str) -> int:
    return int(shell(demo, COUNT.format(condition)))


def order(operator: Operator) -> None:
    """Order something in the shop, with the card of a gateway that is down."""
    page = operator.page
    page.goto(operator.address)
    page.locator("form[action='/cart/add/'] button").first.click()
    page.goto(f"{operator.address}cart/")
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Card number").fill(DOWN)
    page.get_by_role("button", name=re.compile("^Order for")).click()
    page.wait_for_url("**/orders/*/")


@pytest.fixture
def failing(demo: DemoProcess, chromium: Browser, tmp_path: Path) -> DemoProcess:
    """A shop in which the payment gateway has failed often enough for dead letters."""
    expect.set_options(timeout=PATIENCE * 1000)
    hire(demo)
    customer = Operator(chromium, demo, tmp_path)
    for _ in range(ORDERS):
        order(customer)
    eventually(lambda: count(demo, "status='dead'") == ORDERS, "dead letters", every=1.0)
    return demo


def open_group(operator: Operator) -> None:
    operator.go("failure/")
    operator.page.get_by_role("link", name=re.compile(re.escape(SUBSCRIBER))).first.click()


def test_a_night_at_the_console(failing: DemoProcess, chromium: Browser, screenshots: Path) -> None:
    root = Operator(chromium, failing, screenshots)
    root.log_in("root")
    page = root.page

    # What is wrong, in one sentence.
    page.get_by_role("link", name="Overview").click()
    health = page.locator(".eda-health")
    expect(health).to_contain_text(f"{ORDERS} deliveries are dead")
    root.inspect("overview")

    # Why.
    open_group(root)
    expect(page.locator(".eda-trace")).to_contain_text("GatewayError: The payment gateway")
    expect(page.locator(".eda-facts")).to_contain_text("gateway.py: charge")
    root.inspect("group")

    # The cause is mended. One goes first, and succeeds.
    (failing.folder / "gateway_is_back").touch()
    page.get_by_role("button", name=re.compile("^Retry one first")).click()
    expect(page.locator(".messagelist")).to_contain_text("1 delivery is retried.")
    eventually(lambda: count(failing, "status='dead'") == ORDERS - 1, "the canary")
    condition = f"subscriber={SUBSCRIBER!r}, status='succeeded'"
    eventually(lambda: count(failing, condition) == 1, "its success", every=1.0)
    page.reload()
    expect(page.locator(".eda-lead")).to_contain_text("Succeeded")
    root.inspect("delivery")

    # One was settled by telephone.
    root.go(f"delivery/?status=dead&subscriber={SUBSCRIBER}")
    root.inspect("deliveries")
    page.locator("#result_list tbody th a, #result_list tbody td a").first.click()
    root.press("Discard…")
    root.inspect("confirm")
    page.get_by_label("Reason (required)").fill("paid by telephone")
    root.press("Yes: Discard")
    expect(page.locator(".messagelist")).to_contain_text("1 delivery was discarded.")
    page.get_by_role("link", name="History").click()
    log = page.locator("#change-history")
    expect(log).to_contain_text("Discarded: paid by telephone")
    expect(log).to_contain_text("root")

    # And the rest of the group.
    open_group(root)
    root.press("Retry: all…")
    expect(page.locator("#content-main")).to_contain_text(f"{ORDERS - 2} dead")
    page.get_by_label("Reason").fill("the gateway is back")
    root.press("Yes: Retry")
    expect(page.locator(".messagelist")).to_contain_text(f"{ORDERS - 2} deliveries are retried.")
    eventually(lambda: count(failing, condition) == ORDERS - 1, "the group", every=1.0)

    # The overview comes to know by itself, and the operator keeps the place.
    root.go("overview/")
    page.evaluate("scrollTo(0, 200)")
    page.evaluate("window.sameDocument = true")
    before = page.locator("#eda-live").element_handle()
    assert before is not None
    eventually(lambda: not before.evaluate("e => e.isConnected"), "a refresh")
    assert page.evaluate("window.sameDocument") is True
    assert page.evaluate("scrollY") == 200
    expect(page.locator(".eda-health")).to_contain_text("Everything is well.")
    root.shoot("overview-well")
    assert root.complaints == []


def test_who_may_only_look_and_who_may_not(
    failing: DemoProcess, chromium: Browser, screenshots: Path
) -> None:
    viewer = Operator(chromium, failing, screenshots)
    viewer.log_in("viewer")
    open_group(viewer)
    expect(viewer.page.locator(".eda-trace")).to_contain_text("GatewayError")
    for path in ("failure/", "delivery/", "outboxevent/", "overview/", "catalogueentry/"):
        assert viewer.go(path) == 200
        assert viewer.page.locator("main form[method=post]:not(#changelist-form)").count() == 0
        assert viewer.page.locator("select[name=action]").count() == 0
    assert viewer.complaints == []

    nobody = Operator(chromium, failing, screenshots)
    nobody.log_in("nobody")
    assert nobody.page.get_by_role("link", name="Overview").count() == 0
    assert {nobody.go(path) for path in ("failure/", "delivery/", "overview/")} == {403}


PAGES = {
    "overview": "overview/",
    "index": "",
    "events": "outboxevent/",
    "event": "outboxevent/{event}/change/",
    "resend": "outboxevent/{event}/resend/",
    "deliveries": "delivery/",
    "delivery": "delivery/{delivery}/change/",
    "delivery-history": "delivery/{delivery}/history/",
    "failures": "failure/",
    "catalogue": "catalogueentry/",
    "operations": "bulkoperation/",
    "relays": "relayheartbeat/",
}
ONE_OF_EACH = """
from eda_django.models import Delivery
row = Delivery.objects.dead()[0]
print(row.event_id, row.pk)
"""


def test_every_page_on_desktop_and_phone_in_light_and_dark(
    failing: DemoProcess, chromium: Browser, screenshots: Path
) -> None:
    event, delivery = shell(failing, ONE_OF_EACH).split()
    complaints: list[str] = []
    schemes: Any = ("light", "dark")
    for size in ("desktop", "phone"):
        for scheme in schemes:
            operator = Operator(chromium, failing, screenshots, size=size, scheme=scheme)
            operator.log_in("root")
            for name, path in PAGES.items():
                assert operator.go(path.format(event=event, delivery=delivery)) == 200
                operator.inspect(name)
            open_group(operator)
            operator.inspect("group")
            operator.press("Discard: all…")
            operator.inspect("confirm-group")
            complaints += [f"{operator.name}: {one}" for one in operator.complaints]
    assert complaints == []


def test_an_event_tells_its_story_and_what_belongs_to_it(
    failing: DemoProcess, chromium: Browser, screenshots: Path
) -> None:
    event, _delivery = shell(failing, ONE_OF_EACH).split()
    viewer = Operator(chromium, failing, screenshots)
    viewer.log_in("viewer")
    answer = viewer.page.goto(f"{viewer.address}admin/eda_django/outboxevent/{event}/change/")
    assert answer is not None
    assert answer.headers["content-security-policy"] == csp.POLICY

    story = viewer.page.locator(".eda-timeline li").all_inner_texts()
    assert "Published by shop" in story[0]
    assert "dead, out of attempts" in story[-1]
    assert sum("failed" in step for step in story) == 3
    tree = viewer.page.locator(".eda-tree")
    expect(tree.locator("> li > a")).to_have_text("orders.order_placed")
    expect(tree.locator("> li > ul > li > strong")).to_have_text("inventory.stock_reserved")
    # Its cause has the same tree, from the other side.
    tree.locator("> li > a").click()
    expect(viewer.page.locator(".eda-tree > li > strong")).to_have_text("orders.order_placed")
    expect(viewer.page.locator(".eda-json").first).to_contain_text('"card_token": "***"')
    assert viewer.complaints == []


def test_a_bulk_operation_is_stopped(
    failing: DemoProcess, chromium: Browser, screenshots: Path
) -> None:
    """While the relay does nothing, so that there is time for it."""
    root = Operator(chromium, failing, screenshots)
    root.log_in("root")
    relay = failing.pid_of("manage.py relay")
    assert relay is not None
    os.kill(relay, signal.SIGSTOP)
    try:
        root.go("delivery/?status=dead")
        root.page.locator("section.eda-all").get_by_role("button", name="Discard…").click()
        root.page.get_by_label("Reason (required)").fill("obsolete")
        root.press("Yes: Discard")
        live = root.page.locator("#eda-live")
        expect(live).to_contain_text("Running")
        expect(live.get_by_role("progressbar")).to_have_attribute("value", "0")
        root.press("Cancel")
        expect(root.page.locator(".messagelist")).to_contain_text("What was done stays done.")
        expect(live).to_contain_text("Cancelled")
    finally:
        os.kill(relay, signal.SIGCONT)
    root.inspect("operation")
    assert count(failing, "status='dead'") == ORDERS
    assert root.complaints == []


def test_it_works_without_javascript(
    failing: DemoProcess, chromium: Browser, screenshots: Path
) -> None:
    operator = Operator(chromium, failing, screenshots, scripts=False)
    operator.log_in("root")
    page = operator.page
    (failing.folder / "gateway_is_back").touch()
    operator.go(f"delivery/?status=dead&subscriber={SUBSCRIBER}")
    operator.page.locator("section.eda-all").get_by_role("button", name="Retry…").click()
    operator.press("Yes: Retry")
    refresh = page.get_by_role("link", name="Refresh")

    def is_done() -> bool:
        if refresh.count():
            refresh.click()
        return "Done" in page.locator(".eda-facts").inner_text()

    eventually(is_done, "the end of the operation", every=0.5)
    expect(page.locator("#eda-live")).to_contain_text(f"{ORDERS} deliveries are retried.")
