"""The demo's parts, each by itself; test_demo_processes.py has the whole of it."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.testing import drain
from example_project.billing.models import Invoice
from example_project.demo import customers
from example_project.demo.__main__ import main
from example_project.demo.audit import Audit, Opening, audit
from example_project.demo.customers import Plan, Visit
from example_project.demo.errors import DemoError
from example_project.demo.outage import Outage
from example_project.demo.pages import Page
from example_project.demo.place import Place
from example_project.demo.redis_server import free_port
from example_project.demo.report import Report
from example_project.demo.switches import Switches, switches
from example_project.demo.tally import Tally, last_event, tally
from example_project.events import Customer
from example_project.inventory.models import Release, Reservation, Stock
from example_project.notifications.models import SentMail
from example_project.orders.models import Order, OrderStep, Product
from example_project.orders.services import place_order
from example_project.payments.models import Charge

# There are fewer than 99 of it.
SKU = "teapot-everyday"
SETTLED = Tally(published=1, waiting=0, delivered=1, retried=0, dead=0)


# Switches


def test_a_service_is_on_until_it_is_turned_off_and_on_again(tmp_path: Path) -> None:
    panel = Switches(tmp_path / "switches")
    assert panel.is_on("payments")
    panel.turn("payments", on=False)
    assert not panel.is_on("payments")
    assert panel.is_on("billing")
    panel.turn("payments", on=True)
    assert panel.is_on("payments")


@pytest.mark.parametrize("name", ["../payments", "", "/etc/passwd", "a/b", "Ünits"])
def test_a_switch_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a service"):
        Switches(tmp_path).turn(name, on=False)


def test_there_are_switches_only_inside_a_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DEMO_CONTROL_DIR", raising=False)
    assert switches() is None
    monkeypatch.setenv("DEMO_CONTROL_DIR", str(tmp_path))
    panel = switches()
    assert panel
    assert panel.folder == tmp_path


# The folder, and the arguments


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Place(tmp_path), pytest.raises(DemoError, match="runs already in .*--folder="):
        Place(tmp_path).__enter__()
    with Place(tmp_path):
        pass


def test_a_demo_starts_afresh_and_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "shop.sqlite3-wal").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").touch()
    (tmp_path / "thesis.txt").touch()
    with Place(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "thesis.txt"}


@pytest.mark.parametrize("count", ["-1", "ten", "1.5", "1e3", "100001"])
def test_a_strange_number_of_orders_is_refused(
    capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit):
        main([f"--orders={count}"])
    assert f"{count!r} is no whole number from 0 to 100000." in capsys.readouterr().err


# Pages and customers

PAGE = """
<form action="/cart/add/" method="post"><input type="hidden" name="csrf" value="a&amp;b">
<input type="hidden" name="sku" value="kettle"><input name="quantity" value="1"></form>
<input name="stray" value="outside of every form">
<form action="/cart/add/" method="post"><input type="hidden" name="sku" value="mug"></form>
<form action="add/"><input name="sku" value="relative"></form>
"""


def test_a_form_is_found_by_where_it_goes_and_what_it_holds() -> None:
    page = Page("http://shop/cart/", PAGE)
    kettle = page.form("/cart/add/", sku="kettle")
    assert kettle
    assert kettle.fields == {"csrf": "a&b", "sku": "kettle", "quantity": "1"}
    mug = page.form("/cart/add/", sku="mug")
    assert mug
    assert mug.fields == {"sku": "mug"}
    assert page.form("/cart/add/", sku="relative")
    assert page.form("/cart/add/", sku="teapot") is None
    assert page.form("/checkout/") is None


@pytest.mark.parametrize("count", [12, 200])
def test_a_crowd_has_every_kind_of_customer(count: int) -> None:
    crowd = customers.plans(count, {"rare": 4, "plenty": 50, "more": 60, "none": 0})
    assert len(crowd) == count
    cards = [plan.card for plan in crowd]
    assert cards.count(customers.BROKEN) == 1
    assert customers.DECLINED in cards
    assert customers.STUMBLES in cards
    assert cards.count(customers.WORKS) > count / 2
    assert {plan.clicks for plan in crowd} == {1, 2}
    assert sum(plan.quantity for plan in crowd if plan.sku == "rare") > 4
    assert {plan.sku for plan in crowd} == {"rare", "plenty", "more"}


def test_the_same_crowd_comes_again() -> None:
    stock = {"rare": 4, "plenty": 50}
    assert customers.plans(30, stock) == customers.plans(30, stock)


@pytest.fixture
def shop(transactional_db: None, live_server: Any) -> str:
    call_command("load_shop", verbosity=0)
    return f"{live_server.url}/"


def test_a_customer_orders_through_the_pages(shop: str) -> None:
    visit = customers.visit(Plan(number=7, sku=SKU, quantity=2), shop)
    order = Order.objects.get()
    assert visit.order_ids == {order.pk}
    assert (order.name, order.email) == ("Customer 7", "customer7@example.com")
    assert [(line.sku, line.quantity) for line in order.lines.all()] == [(SKU, 2)]


def test_a_double_click_makes_one_order(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku=SKU, clicks=3), shop)
    assert visit.order_ids == {Order.objects.get().pk}
    assert OutboxEvent.objects.filter(type="orders.order_placed").count() == 1


def test_a_customer_reports_what_is_missing(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku="moon"), shop)
    assert visit.error == "'moon' is not for sale"


def test_a_customer_is_refused_at_checkout(shop: str) -> None:
    visit = customers.visit(Plan(number=1, sku=SKU, card="1234"), shop)
    assert not visit.order_ids
    assert "answered 400" in visit.error


def test_a_customer_reports_a_shop_that_is_away() -> None:
    visit = customers.visit(Plan(number=1, sku="mug"), f"http://127.0.0.1:{free_port()}/")
    assert "can't be reached" in visit.error


def test_everybody_is_sent_in_and_told_of(shop: str) -> None:
    skus = Product.objects.values_list("sku", flat=True)[:3]
    crowd = [Plan(number=n, sku=sku) for n, sku in enumerate(skus)]
    left: list[Visit] = []
    visits = customers.send(crowd, address=shop, on_visit=left.append)
    assert visits == left
    assert {visit.plan for visit in visits} == set(crowd)
    assert Order.objects.count() == 3


# The audit: what can be wrong must be found


@pytest.fixture
def opening(db: None) -> Opening:
    call_command("load_shop", verbosity=0)
    drain()
    return Opening.now()


def place(card: str = "tok_works", *, quantity: int = 1) -> Order:
    """Place an order and let everything happen that it causes."""
    order = place_order(
        uuid4(),
        customer=Customer("Ada", "ada@example.com"),
        card_token=card,
        cart={SKU: quantity},
    )
    drain()
    return order


def dead_letter(order: Order, queue: str) -> None:
    rows = Delivery.objects.filter(queue=queue, event__key=str(order.pk))
    assert rows.update(status=Status.DEAD)


def test_the_audit_finds_nothing_wrong_with_good_books(opening: Opening) -> None:
    place()
    place("tok_declined")
    place(quantity=99)
    seen = [{pk} for pk in Order.objects.values_list("pk", flat=True)]
    assert audit(opening, seen) == Audit(placed=3, paid=1, declined=1, sold_out=1)


def test_the_audit_counts_only_what_came_after_the_opening(opening: Opening) -> None:
    place()
    assert audit(Opening.now()) == Audit()


@pytest.mark.parametrize(
    ("model", "service"),
    [
        (Charge, "1 charge too many"),
        (Invoice, "1 invoice too many"),
        (SentMail, "1 mail too many"),
        (Reservation, "reservation of 1 × "),
        (OrderStep, "step '"),
    ],
)
def test_the_audit_finds_a_doubled_row(opening: Opening, model: Any, service: str) -> None:
    order = place()
    row = model.objects.filter(order_id=order.pk).first()
    row.pk = None
    row.save(force_insert=True)
    found = audit(opening)
    assert f"order {order.pk}" in found.doubled[0]
    assert service in found.doubled[0]
    assert not found.lost


@pytest.mark.parametrize(
    ("model", "card", "what"),
    [
        (Charge, "tok_works", "no charge"),
        (Invoice, "tok_works", "no invoice"),
        (SentMail, "tok_works", "no mail"),
        (Release, "tok_declined", "no release of 1 × "),
        (SentMail, "tok_declined", "no mail"),
    ],
)
def test_the_audit_finds_a_missing_row(opening: Opening, model: Any, card: str, what: str) -> None:
    order = place(card)
    model.objects.filter(order_id=order.pk).delete()
    found = audit(opening)
    assert found.lost[0].startswith(f"order {order.pk}: {what}")


def test_the_audit_finds_an_order_of_which_nothing_came(opening: Opening) -> None:
    order = place()
    for model in (Reservation, Charge, Invoice, SentMail, OrderStep):
        model._default_manager.filter(order_id=order.pk).delete()
    Stock.objects.put_back(SKU, 1)
    assert f"order {order.pk}: no mail" in audit(opening).lost


def test_a_dead_letter_explains_what_waits_for_it(opening: Opening) -> None:
    order = place()
    dead_letter(order, "billing")
    for model in (Invoice, SentMail):
        model._default_manager.filter(order_id=order.pk).delete()
    OrderStep.objects.filter(name__in=["invoiced", "mailed"]).delete()
    assert audit(opening) == Audit(placed=1, stuck=1)


def test_a_dead_letter_explains_nothing_that_comes_before_it(opening: Opening) -> None:
    order = place()
    dead_letter(order, "notifications")
    Invoice.objects.filter(order_id=order.pk).delete()
    assert audit(opening).lost == [f"order {order.pk}: no invoice"]


def test_the_audit_reckons_the_stock(opening: Opening) -> None:
    place()
    left = Stock.objects.get(sku=SKU).quantity
    Stock.objects.filter(sku=SKU).update(quantity=left - 1)
    found = audit(opening)
    assert found.doubled == [f"stock of {SKU} is {left - 1}, not {left + 1} - 1 + 0"]
    assert found.lost == [f"the product list has {left} of {SKU}, inventory {left - 1}"]


def test_the_audit_finds_an_order_that_was_confirmed_and_is_not_there(opening: Opening) -> None:
    ghost = uuid4()
    assert audit(opening, [{ghost}]).lost == [f"order {ghost} was confirmed and is not there"]


def test_the_audit_finds_two_orders_of_one_checkout(opening: Opening) -> None:
    both = {place().pk, place().pk}
    assert "one checkout made 2 orders" in audit(opening, [both]).doubled[0]


# Counts, the outage, and the report


def test_the_tally_counts_what_came_after_an_event(opening: Opening) -> None:
    since = last_event()
    assert tally(since) == Tally(published=0, waiting=0, delivered=0, retried=0, dead=0)
    place_order(
        uuid4(),
        customer=Customer("Ada", "ada@example.com"),
        card_token="tok_works",
        cart={SKU: 1},
    )
    assert (tally(since).published, tally(since).waiting) == (1, 1)
    drain()
    counts = tally(since)
    assert (counts.waiting, counts.dead, counts.retried) == (0, 0, 0)
    assert counts.delivered == Delivery.objects.filter(event_id__gt=since).count()
    Delivery.objects.filter(event_id__gt=since).update(status=Status.DEAD)
    assert tally(since).dead == counts.delivered


def test_the_tally_sees_events_and_deliveries_in_the_same_moment(
    opening: Opening, django_assert_num_queries: Any
) -> None:
    """A second statement would miss what a delivery that succeeds in between has published."""
    with django_assert_num_queries(2) as queries:
        tally(0)
    first, second = (query["sql"] for query in queries.captured_queries)
    assert "eda_django_outboxevent" in first
    assert "eda_django_delivery" in first
    assert "eda_django_attempt" in second


def test_an_outage_lasts_from_two_fifths_to_three(tmp_path: Path) -> None:
    panel, clock = Switches(tmp_path), iter([10.0, 14.5])
    outage = Outage("payments", switches=panel, customers=10, clock=lambda: next(clock))
    states = []
    for number in range(10):
        outage.note(Visit(plan=Plan(number=number, sku="mug"), order_ids=frozenset({uuid4()})))
        states.append(panel.is_on("payments"))
    assert states == [True] * 3 + [False] * 2 + [True] * 5
    assert str(outage) == "payments was down for 4.5 s: 2 orders were confirmed meanwhile."


def test_a_crowd_too_small_for_an_outage_has_none(tmp_path: Path) -> None:
    panel = Switches(tmp_path)
    outage = Outage("payments", switches=panel, customers=1)
    outage.note(Visit(plan=Plan(number=1, sku="mug")))
    assert panel.is_on("payments")
    assert not outage.seconds


def report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "visits": [],
        "audit": Audit(),
        "tally": SETTLED,
        "seconds": 1.0,
    } | changes
    return Report(**values)


def test_a_report_is_clean_when_nothing_is_wrong() -> None:
    assert report().is_clean
    assert report().complaints() == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"audit": Audit(lost=["a mail"])}, "lost: a mail"),
        ({"audit": Audit(doubled=["a charge"])}, "doubled: a charge"),
        (
            {"visits": [Visit(plan=Plan(number=3, sku="mug"), error="500")]},
            "error: customer 3: 500",
        ),
        (
            {"tally": Tally(published=1, waiting=2, delivered=0, retried=0, dead=0)},
            "unfinished: 2 deliveries do not move, see the logs",
        ),
    ],
)
def test_a_report_is_not_clean(changes: dict[str, Any], complaint: str) -> None:
    assert not report(**changes).is_clean
    assert report(**changes).complaints() == [complaint]


def test_a_report_keeps_its_complaints_short() -> None:
    lines = report(audit=Audit(lost=[str(n) for n in range(50)])).complaints()
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more"


def test_the_table_has_every_count() -> None:
    order: UUID = uuid4()
    rows = report(
        visits=[
            Visit(plan=Plan(number=1, sku="mug", clicks=2), order_ids=frozenset({order})),
            Visit(plan=Plan(number=2, sku="mug"), error="500"),
        ],
        audit=Audit(placed=9, paid=5, declined=2, sold_out=1, stuck=1, lost=["x"]),
        tally=Tally(published=30, waiting=0, delivered=40, retried=3, dead=1),
    ).rows()
    assert {what.strip(): count for what, count, _ in rows} == {
        "customers": 2,
        "orders placed": 9,
        "paid": 5,
        "refused": 3,
        "stuck": 1,
        "events published": 30,
        "delivered": 40,
        "retried": 3,
        "dead": 1,
        "lost": 1,
        "doubled": 0,
    }
    remarks = [remark for *_, remark in rows]
    assert "1 of them by a double click" in remarks
    assert "2 declined, 1 sold out" in remarks
