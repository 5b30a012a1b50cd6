"""What there is to see at the console, for whom, and on which screens. Nothing is changed here."""

import re

import pytest
from playwright.sync_api import expect

from example_project import csp
from tests.demo import DemoProcess

from .operators import Office
from .shop import ORDERS, fail_orders, newest_relay, one_dead, start_afresh

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

PAGES = {
    "overview": "overview/",
    "index": "",
    "events": "outboxevent/",
    "event": "outboxevent/{event}/change/",
    "resend": "outboxevent/{event}/resend/",
    "edit": "outboxevent/{event}/edit/",
    "deliveries": "delivery/",
    "delivery": "delivery/{delivery}/change/",
    "delivery-history": "delivery/{delivery}/history/",
    "failures": "failure/",
    "catalogue": "catalogueentry/",
    "operations": "bulkoperation/",
    "relays": "relayheartbeat/",
    "relay": "relayheartbeat/{relay}/change/",
}
LISTS = (
    "failure/",
    "delivery/",
    "outboxevent/",
    "overview/",
    "catalogueentry/",
    "bulkoperation/",
    "relayheartbeat/",
)


@pytest.fixture(scope="module")
def failing(stand: DemoProcess) -> DemoProcess:
    """A shop in which the payment gateway has failed often enough for dead letters."""
    start_afresh(stand)
    fail_orders(stand)
    return stand


@pytest.mark.parametrize("page", PAGES)
def test_a_page_on_desktop_and_phone_in_light_and_dark(
    page: str, failing: DemoProcess, office: Office
) -> None:
    event, delivery = one_dead(failing)
    root = office.seat("root")
    about = {"event": event, "delivery": delivery, "relay": newest_relay(failing)}
    assert root.go(PAGES[page].format(**about)) == 200
    root.inspect(page)
    assert root.complaints == []


def test_a_group_and_its_question_on_desktop_and_phone_in_light_and_dark(
    failing: DemoProcess, office: Office
) -> None:
    root = office.seat("root")
    root.open_group()
    root.inspect("group")
    root.press("Discard: all…")
    root.inspect("confirm-group")
    assert root.complaints == []


def test_questions_about_many_on_desktop_and_phone_in_light_and_dark(
    failing: DemoProcess, office: Office
) -> None:
    root = office.seat("root")
    root.go("delivery/?status=dead")
    root.page.locator("section.eda-all").get_by_role("button", name="Discard…").click()
    expect(root.page.get_by_role("status")).to_contain_text(f"it would be done to: Dead: {ORDERS}.")
    root.inspect("confirm-all")
    event, _delivery = one_dead(failing)
    root.go(f"outboxevent/{event}/resend/")
    for box in root.page.get_by_role("checkbox").all():
        box.check()
    root.press("Resend")
    expect(root.page.locator("main")).to_contain_text("to 2 subscriptions again")
    root.inspect("confirm-resend")
    assert root.complaints == []


def test_who_may_only_look_and_who_may_not(failing: DemoProcess, office: Office) -> None:
    viewer = office.seat("viewer")
    viewer.open_group()
    expect(viewer.page.locator(".eda-trace")).to_contain_text("GatewayError")
    for path in LISTS:
        assert viewer.go(path) == 200
        assert viewer.page.locator("main form[method=post]:not(#changelist-form)").count() == 0
        assert viewer.page.locator("select[name=action]").count() == 0
    assert viewer.complaints == []

    nobody = office.seat("nobody")
    nobody.page.goto(f"{nobody.address}admin/")
    expect(nobody.page.locator("#user-tools")).to_contain_text("nobody")
    assert nobody.page.get_by_role("link", name="Overview").count() == 0
    assert {path: nobody.go(path) for path in LISTS} == dict.fromkeys(LISTS, 403)


def test_an_event_tells_its_story_and_what_belongs_to_it(
    failing: DemoProcess, office: Office
) -> None:
    event, _delivery = one_dead(failing)
    viewer = office.seat("viewer")
    page = viewer.page
    answer = page.goto(f"{viewer.address}admin/eda_django/outboxevent/{event}/change/")
    assert answer is not None
    assert answer.headers["content-security-policy"] == csp.POLICY

    story = page.locator(".eda-timeline li").all_inner_texts()
    assert "Published by shop" in story[0]
    assert "dead, out of attempts" in story[-1]
    assert sum("failed" in step for step in story) == 3
    tree = page.locator(".eda-tree")
    expect(tree.locator("> li > a")).to_have_text("orders.order_placed")
    expect(tree.locator("> li > ul > li > strong")).to_have_text("inventory.stock_reserved")
    # Its cause has the same tree, from the other side.
    tree.locator("> li > a").click()
    expect(page.locator(".eda-tree > li > strong")).to_have_text("orders.order_placed")
    expect(page.locator(".eda-json").first).to_contain_text(re.compile('"card_token": "\\*{3}"'))
    assert viewer.complaints == []
