"""Connections to the database that end at the worst moment, and transactions that it undoes.

The answer to a COMMIT may be lost though the commit went through: then nobody knows, but the
database. What a failover does to transactions is the same.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, F

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from tests.faults import outcome
from tests.faults.children import FORK, SIMPLE, Children
from tests.faults.planting import Fate
from tests.faults.publishing import publish
from tests.integration import ordering
from tests.relaying import end_other_connections, row_locks
from tests.testapp.models import Order
from tests.waiting import eventually

pytestmark = pytest.mark.processes

KIND = "faults.happened"
EVENTS = 9
CUT = "django.db.utils.OperationalError"


@pytest.mark.parametrize(("when", "events"), [("before", 0), ("after", EVENTS)])
def test_publisher_whose_commit_gets_no_answer_has_both_or_neither(
    children: Children, when: str, events: int
) -> None:
    """G1: the order and its event; what the caller is told is an error."""
    at = f"after publish #{EVENTS}, {when} COMMIT"
    child = children.publish(KIND, *[""] * EVENTS, at=at, fate=Fate.CUT)
    assert child.ends() == 1
    assert "the connection was cut" in child.text
    assert OutboxEvent.objects.count() == events
    if events:
        children.relay()
        children.worker(*outcome.QUEUES)
        outcome.check(KIND, EVENTS)


@pytest.mark.parametrize(
    "at",
    [
        "after create_queued",
        "after mark_relayed, before COMMIT",
        "after mark_relayed, after COMMIT",
        "after claim_due, before COMMIT",
        "after claim_due, after COMMIT",
    ],
)
def test_relay_whose_transaction_gets_no_answer_asks_what_became_of_it(
    children: Children, at: str
) -> None:
    """G2, G3, G7: what it claimed without knowing is pushed after a lease."""
    publish(KIND, "fail", *[""] * (EVENTS - 1))
    worker = children.worker(*outcome.QUEUES)
    relay = children.relay(at=at, fate=Fate.CUT)
    relay.breaks()
    relay.says("relay works again")
    if "after COMMIT" in at:
        # Claimed, and by nobody who knew it.
        eventually(lambda: ordering.count(Status.QUEUED) > 0)
        eventually(lambda: not any(queue.job_ids for queue in outcome.queues()))
        outcome.lapse_queued()
    outcome.check(KIND, EVENTS, failed={1: "RuntimeError"})
    assert "Traceback" not in relay.text
    assert worker.is_running


@pytest.mark.parametrize(
    ("at", "failed"),
    [
        ("after write #3", {2: CUT}),
        ("after settle #2, before COMMIT", {2: CUT}),
        # It went through, and the worker looks it up.
        ("after settle #2, after COMMIT", {}),
    ],
)
def test_worker_whose_transaction_gets_no_answer_finds_out_what_became_of_it(
    children: Children, at: str, failed: dict[int, str]
) -> None:
    """G2, G3, G4: effects once, and an attempt burns only if it was undone."""
    publish(KIND, *[""] * EVENTS)
    children.relay()
    worker = children.worker(*outcome.QUEUES, at=at, fate=Fate.CUT)
    worker.breaks()
    outcome.check(KIND, EVENTS, failed=failed)
    assert worker.is_running


def test_processes_whose_connections_all_end_in_mid_work_lose_and_double_nothing(
    children: Children,
) -> None:
    """G2, G3, G4: twice, under a relay, a forking worker and one that does not fork."""
    children.lease = 2.0
    if connection.vendor == "sqlite":
        children.world["database"] = options(timeout=0.1)
    children.relay()
    publish(KIND, *[""] * 60)
    for kind in (SIMPLE, FORK):
        children.worker(*outcome.QUEUES, kind=kind)
    for successes in (20, 60):
        eventually(partial(have_succeeded, successes))
        be_in_the_way()
    outcome.come_to_rest(KIND, 60)
    assert ordering.statuses() == {Status.SUCCEEDED: 120}
    assert outcome.effects() == outcome.expected_effects(KIND, 60)
    rows = Delivery.objects.annotate(kept=Count("failed_attempts"))
    assert not rows.exclude(attempts=F("kept") + 1).exists()
    # Of what RQ saw break off, nothing is in a queue.
    eventually(lambda: set(outcome.jobs_left()) <= {"failed", "started"})


def have_succeeded(deliveries: int) -> bool:
    return ordering.count(Status.SUCCEEDED) >= deliveries


def be_in_the_way() -> None:
    """End all connections but this one; lock SQLite, which has none, for longer than they wait."""
    if connection.vendor != "sqlite":
        end_other_connections()
        return
    with transaction.atomic():
        time.sleep(1.0)


def options(**more: Any) -> dict[str, Any]:
    return {"OPTIONS": {**connection.settings_dict["OPTIONS"], **more}}


# Two transactions that read before they write: as SQLite has it there is only ever one.


@row_locks
def test_deadlock_between_two_subscribers_costs_one_of_them_an_attempt(
    children: Children, tmp_path: Path
) -> None:
    """G3, G4: the database undoes either; it is tried again, with one effect."""
    one, two = (Order.objects.create(number=number).pk for number in "AB")
    behaviours = [f"lock:{tmp_path},{one},{two}", f"lock:{tmp_path},{two},{one}"]
    publish("faults.met", *behaviours)
    children.relay()
    for _ in behaviours:
        children.worker("default")
    outcome.come_to_rest("faults.met", 2)
    (victim,) = outcome.failures()
    outcome.check("faults.met", 2, failed={victim: CUT})
    assert "deadlock" in Attempt.objects.get().error_text.lower()


@row_locks
def test_transaction_that_the_database_can_not_serialize_is_tried_again(
    children: Children, tmp_path: Path
) -> None:
    """G3, G4: what it had read was out of date; and relay and worker live under REPEATABLE READ."""
    order = Order.objects.create(number="0")
    children.world["database"] = repeatable_read()
    publish("faults.met", f"count:{tmp_path}")
    children.relay()
    children.worker("default")
    eventually((tmp_path / "read").exists)
    Order.objects.update(number="10")
    (tmp_path / "go").touch()
    outcome.check("faults.met", 1, failed={1: CUT})
    order.refresh_from_db()
    assert order.number == "11"


def repeatable_read() -> dict[str, Any]:
    if connection.vendor == "postgresql":
        given = connection.settings_dict["OPTIONS"]["options"]
        more = "-c default_transaction_isolation=repeatable\\ read"
        return options(options=f"{given} {more}")
    # MariaDB, left to itself, would let the second write win before 11.6.
    return options(
        isolation_level="repeatable read", init_command="SET innodb_snapshot_isolation = ON"
    )
