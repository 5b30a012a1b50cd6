"""An operator is woken: sees the failure, reads why, mends it, and everyone can read who did it."""

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from tests.demo import DemoProcess
from tests.waiting import eventually

from .operators import Office
from .shop import ORDERS, SUBSCRIBER, count, fail_orders, gateway_of, one_dead

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

CHARGED = f"subscriber = '{SUBSCRIBER}' AND status = 'succeeded'"


@pytest.fixture
def failing(demo: DemoProcess) -> DemoProcess:
    """A shop in which the payment gateway has failed often enough for dead letters."""
    fail_orders(demo)
    return demo


def test_a_night_at_the_console(failing: DemoProcess, office: Office) -> None:
    root = office.seat("root")
    page = root.page

    # What is wrong, in one sentence.
    root.go("")
    page.locator("#content-main").get_by_role("link", name="Overview").click()
    health = page.locator(".eda-health")
    expect(health).to_contain_text(f"{ORDERS} deliveries are dead")

    # Why.
    root.open_group()
    expect(page.locator(".eda-trace")).to_contain_text("GatewayError: The payment gateway")
    expect(page.locator(".eda-facts")).to_contain_text("gateway.py: charge")

    # The cause is mended. One goes first, and succeeds.
    gateway_of(failing).touch()
    page.get_by_role("button", name=re.compile("^Retry one first")).click()
    expect(page.locator(".messagelist")).to_contain_text("1 delivery is retried.")
    eventually(lambda: count(failing, "status = 'dead'") == ORDERS - 1, "the canary")
    # Its page comes to know by itself.
    expect(page.locator(".eda-lead")).to_contain_text("Succeeded")
    assert count(failing, CHARGED) == 1
    root.shoot("delivery-succeeded")

    # One was settled by telephone.
    root.go(f"delivery/?status=dead&subscriber={SUBSCRIBER}")
    page.locator("#result_list tbody th a, #result_list tbody td a").first.click()
    root.press("Discard…")
    root.inspect("confirm")
    page.get_by_label("Reason (required)").fill("paid by telephone")
    root.press("Yes: Discard")
    expect(page.locator(".messagelist")).to_contain_text("1 delivery was discarded.")
    page.locator(".eda-facts dd a").first.click()
    expect(page.locator(".eda-timeline")).to_contain_text("root: Discarded: paid by telephone")
    page.go_back()
    page.get_by_role("link", name="History").click()
    log = page.locator("#change-history")
    expect(log).to_contain_text("Discarded: paid by telephone")
    expect(log).to_contain_text("root")

    # And the rest of the group, with a word for the next one who looks.
    root.open_group()
    page.get_by_label("What the next one should know").fill("Card 0259: ring the gateway.")
    root.press("Keep the note")
    expect(page.locator(".eda-note")).to_contain_text("Card 0259: ring the gateway. root,")
    root.press("Retry: all…")
    expect(page.locator("#content-main")).to_contain_text(f"{ORDERS - 2} dead")
    page.get_by_label("Reason").fill("the gateway is back")
    root.press("Yes: Retry")
    expect(page.locator(".messagelist")).to_contain_text(f"{ORDERS - 2} deliveries are retried.")
    eventually(lambda: count(failing, CHARGED) == ORDERS - 1, "the group", every=0.1)
    assert root.complaints == []


def test_the_overview_comes_to_know_by_itself(failing: DemoProcess, office: Office) -> None:
    """And the operator keeps the place."""
    root = office.seat("root")
    page = root.page
    page.clock.install()
    root.go("overview/")
    health = page.locator(".eda-health")
    expect(health).to_contain_text(f"{ORDERS} deliveries are dead")
    page.evaluate("scrollTo(0, 200)")
    page.evaluate("window.sameDocument = true")
    gateway_of(failing).touch()
    colleague = office.seat("root")
    colleague.open_group()
    colleague.press("Retry: all…")
    colleague.press("Yes: Retry")
    eventually(lambda: count(failing, CHARGED) == ORDERS, "the group", every=0.1)

    def is_well() -> bool:
        page.clock.fast_forward("00:10")
        return "Everything is well." in health.inner_text()

    page.bring_to_front()
    eventually(is_well, "a refresh", every=0.2)
    assert page.evaluate("window.sameDocument") is True
    assert page.evaluate("scrollY") == 200
    root.shoot("overview-well")
    assert root.complaints == []


def test_figures_that_could_not_be_refreshed_are_called_old(
    demo: DemoProcess, office: Office
) -> None:
    page = office.seat("viewer").page
    page.clock.install()
    page.goto(f"{demo.address()}admin/eda_django/overview/")
    note = page.locator(".eda-stale")
    expect(note).to_be_hidden()
    page.route("**/overview/", lambda route: route.abort())
    page.clock.fast_forward("00:10")
    expect(note).to_be_visible()
    page.unroute("**/overview/")
    page.clock.fast_forward("00:10")
    expect(note).to_be_hidden()
    # Who reads a line is not disturbed, and is told when that has lasted.
    page.locator("#eda-live a").first.focus()
    page.clock.run_for("00:15")
    expect(note).to_be_hidden()
    page.clock.run_for("00:25")
    expect(note).to_be_visible()


def test_a_click_into_the_page_does_not_stop_its_refresh(
    failing: DemoProcess, office: Office
) -> None:
    page = office.seat("viewer").page
    page.clock.install()
    page.goto(f"{failing.address()}admin/eda_django/overview/")
    page.locator("#eda-subscriptions tbody td").last.click()
    expect(page.locator("#eda-subscriptions")).to_be_focused()
    for _ in range(2):
        page.evaluate("document.getElementById('eda-live').dataset.seen = 'yes'")
        page.clock.fast_forward("00:10")
        expect(page.locator("#eda-live:not([data-seen])")).to_be_visible()
    expect(page.locator(".eda-stale")).to_be_hidden()
    expect(page.locator("#eda-subscriptions")).to_be_focused()


def test_what_is_pressed_stays_until_it_is_let_go(failing: DemoProcess, office: Office) -> None:
    """A refresh between would take the click away."""
    root = office.seat("viewer")
    page = root.page
    page.clock.install()
    page.goto(f"{failing.address()}admin/eda_django/overview/")
    page.evaluate("document.getElementById('eda-live').dataset.seen = 'yes'")
    page.locator("#eda-live a[href]").first.hover()
    page.mouse.down()
    page.clock.run_for("00:25")
    for _ in range(2):
        # Asked for after the refresh would have asked for it.
        page.evaluate("fetch(location.href).then(answer => answer.text())")
    expect(page.locator("#eda-live[data-seen]")).to_be_visible()
    page.mouse.up()
    page.wait_for_url(lambda address: not address.endswith("/overview/"))
    assert root.complaints == []


def test_no_id_that_a_page_may_have_stops_its_refresh(failing: DemoProcess, office: Office) -> None:
    root = office.seat("viewer")
    page = root.page
    page.clock.install()
    page.goto(f"{failing.address()}admin/eda_django/overview/")
    page.evaluate(
        """document.getElementById('eda-live').append(
            Object.assign(document.createElement('details'), { id: 'eda-12,345' })
        )"""
    )
    page.clock.fast_forward("00:10")
    expect(page.locator("details[id='eda-12,345']")).to_have_count(0)
    expect(page.locator("#eda-subscriptions")).to_be_visible()
    assert root.complaints == []


def test_an_event_is_edited_and_published_again(failing: DemoProcess, office: Office) -> None:
    """The customer has given another card, by telephone."""
    root = office.seat("root")
    root.look("phone", "light")
    page = root.page
    original, delivery = one_dead(failing)
    root.go(f"outboxevent/{original}/change/")
    name = page.locator(".eda-lead code").inner_text()
    page.get_by_role("link", name="Edit and resend…").click()
    payload = page.get_by_label("Payload")
    masked = payload.input_value()
    assert '"card_token": "***/card_token"' in masked
    payload.fill("{")
    page.get_by_label("Reason").fill("another card")
    root.press("Edit and resend")
    expect(page.locator(".errorlist")).to_contain_text("This is not JSON")
    payload.fill(masked.replace('"***/card_token"', '"tok_works"'))
    root.press("Edit and resend")

    # A new event, which names the old one, and is paid.
    expect(page.locator(".messagelist")).to_contain_text("Published as a new event")
    expect(page.locator('dt:text-is("Edited copy of") + dd')).to_have_text(name)
    expect(page.locator(".eda-json").first).to_contain_text('"card_token": "***"')
    paid = f"{CHARGED} AND event_id > {original}"
    eventually(lambda: count(failing, paid) == 1, "the payment", every=0.1)
    assert count(failing, f"id = {delivery} AND status = 'dead'") == 1
    root.go(f"outboxevent/{original}/history/")
    expect(page.locator("#change-history")).to_contain_text("Edited and resent as")
    expect(page.locator("#change-history")).to_contain_text("another card")
    assert root.complaints == []


def test_a_bulk_operation_is_stopped(failing: DemoProcess, office: Office) -> None:
    """While the relay does nothing, so that there is time for it."""
    root = office.seat("root")
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
        root.inspect("operation-running")
        root.press("Cancel")
        expect(root.page.locator(".messagelist")).to_contain_text("What was done stays done.")
        expect(live).to_contain_text("Cancelled")
    finally:
        os.kill(relay, signal.SIGCONT)
    root.inspect("operation")
    assert count(failing, "status = 'dead'") == ORDERS
    assert root.complaints == []


def test_it_works_without_javascript(failing: DemoProcess, office: Office) -> None:
    _event, delivery = one_dead(failing)
    operator = office.seat("root", scripts=False)
    operator.look("phone", "dark")
    page = operator.page
    gateway_of(failing).touch()
    operator.go(f"delivery/?status=dead&subscriber={SUBSCRIBER}")
    page.locator("section.eda-all").get_by_role("button", name="Retry…").click()
    operator.press("Yes: Retry")
    refresh = page.get_by_role("link", name="Refresh")

    def is_done() -> bool:
        if refresh.count():
            refresh.click()
        return "Done" in page.locator(".eda-facts").inner_text()

    eventually(is_done, "the end of the operation", every=0.5)
    expect(page.locator("#eda-live")).to_contain_text(f"{ORDERS} deliveries are retried.")

    # And a delivery among them says who had that done.
    root = office.seat("root")
    root.go(f"delivery/{delivery}/change/")
    expect(root.page.locator("main")).to_contain_text("root: Retried.")
    root.inspect("delivery-in-bulk")
    assert root.complaints == []
