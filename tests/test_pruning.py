"""Where a round of pruning stops, and that it stays on its own database (G7)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from eda_django.models import Attempt, Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.relaying import Recorder, happen, on_happened

MONTH = 30 * 86_400.0


def finished(count: int, *, using: str = "default") -> list[int]:
    """Publish and consume long ago; return the events' numbers."""
    on_happened(lambda event: None, name=f"t.{using}")
    transport = Recorder()
    happen(count, using=using)
    Relay(using=using, transport=transport).poll()
    transport.work(using=using)
    events = OutboxEvent.objects.using(using)
    events.update(relayed_at=after(-2 * MONTH), time=timezone.now() - timedelta(days=60))
    return list(events.order_by("pk").values_list("pk", flat=True))


def prune(*, using: str = "default", limit: int = 100, after_id: int = 0) -> tuple[int, int]:
    with transaction.atomic(using=using):
        events = OutboxEvent.objects.using(using)
        found: tuple[int, int] = events.prune(seconds=MONTH, after_id=after_id, limit=limit)
    return found


@pytest.mark.django_db
def test_in_an_empty_outbox_there_is_nothing_to_prune() -> None:
    assert prune() == (0, 0)


@pytest.mark.django_db
def test_events_of_several_types_and_keys_are_pruned_together() -> None:
    """InnoDB is asked for the locks on the keys of each type."""
    for pk in finished(4):
        OutboxEvent.objects.filter(pk=pk).update(type=f"t.type_{pk % 2}", idempotency_key=f"k{pk}")
    assert prune() == (4, 0)
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db
def test_the_next_round_begins_behind_all_that_this_one_looked_at() -> None:
    events = finished(5)
    assert prune(limit=3) == (3, events[2])
    assert prune(limit=3, after_id=events[2]) == (2, 0)


@pytest.mark.django_db
def test_an_old_dead_letter_does_not_keep_rounds_going_where_events_are_young() -> None:
    events = finished(5)
    Delivery.objects.filter(event_id=events[0]).update(status="dead")
    OutboxEvent.objects.filter(pk__gt=events[0]).update(relayed_at=after(0), time=timezone.now())
    assert prune(limit=2, after_id=events[0]) == (0, 0)


@pytest.mark.django_db(databases=["default", "other"])
def test_an_outbox_is_pruned_with_the_rows_of_its_own_database() -> None:
    """G12: the other one may have events of the same numbers."""
    for using in ("default", "other"):
        finished(1, using=using)
        for row in Delivery.objects.using(using):
            Attempt.objects.using(using).create(
                delivery=row, number=1, worker="w", finished_at=after(0)
            )
    assert prune(using="other") == (1, 0)
    managers: list[Any] = [OutboxEvent.objects, Delivery.objects, Attempt.objects]
    assert [rows.using("other").count() for rows in managers] == [0, 0, 0]
    assert [rows.count() for rows in managers] == [1, 1, 1]
