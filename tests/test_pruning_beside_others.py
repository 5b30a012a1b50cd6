"""Pruning waits for no row that somebody holds, and keeps nobody waiting for long (G4, G12)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import connection, transaction

from eda_django import publish
from eda_django.models import Attempt, Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.models.locking import writing
from tests.bulk import fill_deliveries, fill_events, in_seconds, settle
from tests.impatience import LEVELS, impatient
from tests.relaying import HAPPENED, happen, on_happened, relayed, row_locks

pytestmark = [row_locks, pytest.mark.django_db(transaction=True)]

DAY = 86_400
LIMIT = 500
# A few rows, a batch, and more: a planner goes by how much of the table is meant.
SIZES = [3, 300, 3_000]

# Whoever holds something while it lasts.
Holder = Callable[[], AbstractContextManager[None]]


def fill(old: int) -> None:
    """Make so many events that are finished, of which the first have a delivery that once failed.

    Their idempotency keys are their numbers.
    """
    long_ago = in_seconds(str(-60 * DAY))
    text = "CHAR" if connection.vendor == "mysql" else "TEXT"
    fill_events(
        old,
        type=f"'{HAPPENED}'",
        relayed_at=long_ago,
        time=long_ago,
        idempotency_key=f"CAST(n AS {text})",
    )
    fill_deliveries(old, status="'succeeded'", attempts="2", finished_at=long_ago)
    for row in Delivery.objects.order_by("pk")[:3]:
        fail(row)
    settle()


def fail(row: Delivery) -> None:
    Attempt.objects.create(delivery=row, number=1, worker="w", finished_at=after(0))


@contextmanager
def running(*, failed: int = 0) -> Iterator[None]:
    """Run a subscriber whose delivery has failed before, so many times."""
    row = Delivery.objects.get(status="queued")
    for _ in range(failed):
        fail(row)
    assert Delivery.objects.start(row.pk, token=row.claim, lease=30.0)
    with transaction.atomic():
        assert Delivery.objects.lock_running(row.pk, token=row.claim)
        Delivery.objects.filter(pk=row.pk).update(error_text="held")
        yield


@contextmanager
def publishing() -> Iterator[None]:
    with transaction.atomic():
        happen(1)
        yield


def prune(level: str = LEVELS[0]) -> int:
    """Prune in a session that gives up where it would wait; return how many events went."""
    with impatient(level), writing("default"):
        gone, _ = OutboxEvent.objects.prune(seconds=30.0 * DAY, after_id=0, limit=LIMIT)
    return int(gone)


@contextmanager
def publishing_again() -> Iterator[None]:
    """Publish with the key that an old event has: InnoDB keeps a lock on its entry in the index."""
    with transaction.atomic():
        happen(1)
        publish(HAPPENED, {}, idempotency_key="2")
        yield


@contextmanager
def holding_what_is_done() -> Iterator[None]:
    with transaction.atomic():
        assert Delivery.objects.select_for_update().get(pk=2)
        yield


HOLDERS: dict[str, Holder] = {
    "a subscriber": running,
    "a retried subscriber": lambda: running(failed=1),
    "a publisher": publishing,
}
HOLDERS_OF_THE_SECOND: dict[str, Holder] = {
    "its key": publishing_again,
    "its delivery": holding_what_is_done,
}


def prune_beside(holder: Holder, level: str) -> int:
    # The pool ends last: whoever does wait goes on when the lock is gone.
    with ThreadPoolExecutor(1) as pool, holder():
        return pool.submit(prune, level).result(60)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("old", SIZES)
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_pruning_waits_for_nobody(holder: Holder, old: int, level: str) -> None:
    """G4: a relay that waits for a subscriber relays nothing meanwhile."""
    fill(old)
    on_happened(lambda event: None)
    relayed()
    assert prune_beside(holder, level) == min(old, LIMIT)
    assert not Attempt.objects.exclude(delivery__status="running").exists()
    assert Delivery.objects.count() == OutboxEvent.objects.exclude(relayed_at=None).count()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("old", SIZES)
@pytest.mark.parametrize("holder", HOLDERS_OF_THE_SECOND.values(), ids=HOLDERS_OF_THE_SECOND.keys())
def test_what_somebody_holds_of_an_event_keeps_that_from_being_pruned(
    holder: Holder, old: int, level: str
) -> None:
    """G4: and no other. The next round finds it."""
    fill(old)
    left = {2} if connection.vendor == "mysql" or holder is holding_what_is_done else set()
    assert prune_beside(holder, level) == min(old, LIMIT) - len(left)
    assert (
        set(OutboxEvent.objects.filter(pk__lte=min(old, LIMIT)).values_list("pk", flat=True))
        == left
    )
    assert prune() == len(left) + min(max(old - LIMIT, 0), LIMIT - len(left))
