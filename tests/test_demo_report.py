"""The demo's outage, and its report."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from example_project.demo.audit import Audit
from example_project.demo.customers import BROKEN, Plan, Visit
from example_project.demo.outage import Outage
from example_project.demo.report import Report
from example_project.demo.switches import Switches
from example_project.demo.tally import Tally

SETTLED = Tally(published=1, waiting=0, delivered=1, retried=0, dead=0)
PAID = Visit(plan=Plan(number=1, sku="mug"), order_ids=frozenset({uuid4()}))
STUCK = Visit(plan=Plan(number=2, sku="mug", card=BROKEN), order_ids=frozenset({uuid4()}))


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
    assert report(visits=[STUCK], tally=replace(SETTLED, dead=1)).is_clean
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
        (
            {"tally": replace(SETTLED, dead=3), "visits": [STUCK, PAID]},
            "dead: 2 deliveries more than planned, see the admin",
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
