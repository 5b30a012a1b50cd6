"""The shop that the operators look after: what fails in it, and how far that is."""

import sqlite3
from contextlib import closing
from pathlib import Path

from django.contrib.admin.models import LogEntry

from eda_django.models import (
    Attempt,
    BulkOperation,
    Delivery,
    FailureNote,
    OutboxEvent,
    RelayHeartbeat,
)
from example_project.demo import customers
from tests.demo import SKU, DemoProcess
from tests.waiting import eventually

SUBSCRIBER = "example_project.payments.subscribers.charge_card"
ORDERS = 4
OPEN = "status IN ('waiting', 'pending', 'queued', 'running')"
EVENTS, DELIVERIES = OutboxEvent._meta.db_table, Delivery._meta.db_table
WRITTEN = (Attempt, Delivery, OutboxEvent, BulkOperation, FailureNote, LogEntry)


def ask(demo: DemoProcess, statement: str) -> list[tuple[int, ...]]:
    """Return what the demo's database answers; a process of Django's takes a second for that."""
    file = demo.folder / "shop.sqlite3"
    # One closes it, the other commits.
    with closing(sqlite3.connect(file, timeout=30.0)) as connection, connection:
        return connection.execute(statement).fetchall()


def count(demo: DemoProcess, condition: str, *, table: str = DELIVERIES) -> int:
    ((found,),) = ask(demo, f"SELECT COUNT(*) FROM {table} WHERE {condition}")  # noqa: S608
    return found


def one_dead(demo: DemoProcess) -> tuple[int, ...]:
    """Return the numbers of an event and of its delivery that is dead."""
    return ask(demo, f"SELECT event_id, id FROM {DELIVERIES} WHERE status = 'dead'")[0]  # noqa: S608


def newest_relay(demo: DemoProcess) -> int:
    """Return the number of the relay that was heard of last."""
    table = RelayHeartbeat._meta.db_table
    ((found,),) = ask(demo, f"SELECT id FROM {table} ORDER BY beat_at DESC LIMIT 1")  # noqa: S608
    return found


def gateway_of(demo: DemoProcess) -> Path:
    """Return the file that ends the gateway's outage."""
    return demo.folder / "gateway_is_back"


def settle(demo: DemoProcess) -> None:
    """Let what is under way come to its end."""

    def is_quiet() -> bool:
        return not count(demo, "relayed_at IS NULL", table=EVENTS) and not count(demo, OPEN)

    eventually(is_quiet, "a quiet shop", every=0.1)


def start_afresh(demo: DemoProcess) -> None:
    """Let what is under way come to its end, and empty the outbox and the admin's log."""
    gateway_of(demo).touch()
    settle(demo)
    for model in WRITTEN:
        ask(demo, f"DELETE FROM {model._meta.db_table}")  # noqa: S608
    gateway_of(demo).unlink()


def fail_orders(demo: DemoProcess) -> None:
    """Have orders whose payment fails, because the gateway is down, until nobody tries again."""
    crowd = [
        customers.Plan(number=number, sku=SKU, card=customers.BROKEN) for number in range(ORDERS)
    ]
    visits = customers.send(crowd, address=demo.address())
    assert not any(visit.error for visit in visits)
    eventually(lambda: count(demo, "status = 'dead'") == ORDERS, "dead letters", every=0.1)
    eventually(lambda: not count(demo, OPEN), "the rest", every=0.1)
