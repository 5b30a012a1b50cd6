"""Events that have waited for long, and claims that leave the rest to others."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from eda_django.models import Delivery, FreshEvent, OutboxEvent
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import (
    Recorder,
    happen,
    in_threads,
    make_due,
    on_happened,
    relayed,
    row_locks,
    statuses,
    write,
)

LONG = timedelta(days=400)


@pytest.mark.django_db
def test_event_that_waited_for_longer_than_the_retention_is_delivered_and_not_pruned() -> None:
    """G2, G7: nobody had a relay, or Redis, for a year. That is no reason to lose anything."""
    on_happened(write)
    happen(3)
    OutboxEvent.objects.update(time=timezone.now() - LONG)
    relay = Relay(transport=(transport := Recorder()))
    assert not relay.prune()
    relay.drain()
    assert transport.work() == 3


@pytest.mark.django_db
def test_delivery_that_was_due_for_longer_than_the_retention_is_pushed_and_not_pruned() -> None:
    """G2, G7: it has been fanned out, and its worker was off for a year."""
    on_happened(write)
    transport = relayed(3)
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    transport.chunks.clear()
    seconds = LONG.total_seconds()
    OutboxEvent.objects.update(time=timezone.now() - LONG, relayed_at=after(-seconds))
    Delivery.objects.update(due_at=after(-seconds))
    relay = Relay(transport=transport)
    relay.turn()
    assert transport.work() == 3
    assert statuses() == ["succeeded"] * 3


@row_locks
@pytest.mark.django_db(transaction=True)
def test_claim_locks_no_more_than_it_takes() -> None:
    """G12: the planner, or InnoDB, must not lock what the limit leaves to another relay."""
    on_happened(nothing)
    happen(6)
    with transaction.atomic():
        first = OutboxEvent.objects.lock_fresh(2)
        (rest,) = in_threads(lock_fresh)
    assert (len(first), len(rest)) == (2, 4)
    assert len({row.pk for row in (*first, *rest)}) == 6
    Relay(transport=(transport := Recorder())).drain()
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    make_due()
    with transaction.atomic():
        taken = claim(2)
        (others,) = in_threads(lambda: claim(10))
    assert (len(taken), len(others), len(taken | others)) == (2, 4, 6)


def lock_fresh() -> list[FreshEvent]:
    with transaction.atomic():
        found: list[FreshEvent] = OutboxEvent.objects.lock_fresh(10)
        return found


def claim(limit: int) -> set[int]:
    with transaction.atomic():
        chunks = Delivery.objects.claim_due(limit, size=25, lease=30.0, queues={})
    return {pk for chunk in chunks for pk in chunk.delivery_ids}
