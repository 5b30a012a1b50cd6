"""What waits costs a relay nothing, however much of it there is, until its time has come."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, OutboxEvent, Status, look
from eda_django.relay import Relay
from tests import bulk
from tests.bulk import fill_deliveries, fill_events, in_seconds, some_uuid
from tests.reading import entries_read
from tests.relaying import Recorder, happen, on_happened

# Of each kind.
WAITING = 40_000
# What it may take to find that nothing is due, and what it may to relay an event.
FEW, SOME = 100, 1_000


def schedule_ahead(first: int) -> None:
    """Events that may be sent in an hour or later."""
    fill_events(WAITING, first=first, available_at=in_seconds("3600 + n"))


def retry_ahead(first: int) -> None:
    """Deliveries that failed, and are tried again in an hour or later."""
    _fill(first, Status.PENDING, attempts="1", due_at=in_seconds("3600 + n"))


def block(first: int) -> None:
    """Deliveries that wait behind the head of their key."""
    _fill(first, Status.WAITING, key="'stuck'")


def queue(first: int) -> None:
    """Deliveries that no worker has taken yet, under leases that hold."""
    _fill(first, Status.QUEUED, lease_until=in_seconds("3600 + n"), token=some_uuid())


def die(first: int) -> None:
    """Dead letters, which wait for an operator."""
    _fill(first, Status.DEAD, attempts="20", finished_at=in_seconds("0"))


def _fill(first: int, status: str, **columns: str) -> None:
    fill_events(WAITING, first=first, relayed_at=in_seconds("0"))
    fill_deliveries(WAITING, first=first, status=f"'{status}'", **columns)


KINDS = [schedule_ahead, retry_ahead, block, queue, die]
HOUR = timedelta(hours=1)
# All that a relay asks for over and over.
QUESTIONS: dict[str, Callable[[], Any]] = {
    "look": lambda: look("default"),
    "look from a floor": lambda: look("default", floor=1),
    "look at later leases": lambda: look("default", since=timezone.now() - HOUR),
    "fresh": lambda: OutboxEvent.objects.lock_fresh(500),
    "fresh from a floor": lambda: OutboxEvent.objects.lock_fresh(500, floor=1),
    "scheduled": lambda: OutboxEvent.objects.release_scheduled(500),
    "due": lambda: Delivery.objects.claim_due(500, size=25, lease=30.0, queues={}),
    "lapsed": lambda: Delivery.objects.lapsed_queued(500),
    "lapsed later": lambda: Delivery.objects.lapsed_queued(500, since=timezone.now() - HOUR),
    "lapsed running": lambda: Delivery.objects.lock_lapsed_running(500),
    "running": lambda: Delivery.objects.running_tokens(),
    "operations": lambda: BulkOperation.objects.step(500),
}


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_what_waits_is_not_read_until_its_time_has_come() -> None:
    """All kinds at once, as after a bad day. MariaDB read them all for a MIN() in every look."""
    for number, wait in enumerate(KINDS):
        wait(1 + number * WAITING)
    bulk.settle()
    everything = OutboxEvent.objects.order_by("available_at").values_list("available_at")
    assert entries_read(lambda: len(everything)) >= WAITING, "The measure measures nothing."

    read = {name: entries_read(ask) for name, ask in QUESTIONS.items()}
    assert max(read.values()) < FEW, read

    on_happened(lambda event: None)
    transport = Recorder()
    relay = Relay(transport=transport)
    happen()
    read = {"relay": entries_read(relay.poll)}
    delivery = Delivery.objects.get(pk__in=transport.ids)
    read |= {"nothing more": entries_read(relay.poll), "work": entries_read(transport.work)}
    assert max(read.values()) < SOME, read
    delivery.refresh_from_db()
    assert delivery.status == Status.SUCCEEDED
