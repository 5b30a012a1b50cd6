"""Events in the outbox: which are fresh, which wait, and when they are pruned (G7)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from eda_django import publish
from eda_django.models import Attempt, Delivery, OutboxEvent
from eda_django.models.clock import after
from tests.relaying import happen, in_threads, make_due, on_happened, relayed, row_locks

DAY = 86_400.0


def ids(rows: Any = None) -> list[int]:
    found = OutboxEvent.objects.all() if rows is None else rows
    return list(found.order_by("pk").values_list("pk", flat=True))


def age(*, days: float) -> None:
    OutboxEvent.objects.update(
        relayed_at=after(-days * DAY), time=timezone.now() - timedelta(days=days)
    )


def prune(*, limit: int = 100, after_id: int = 0) -> tuple[int, int]:
    with transaction.atomic():
        found: tuple[int, int] = OutboxEvent.objects.prune(
            seconds=30 * DAY, after_id=after_id, limit=limit
        )
    return found


def finished(count: int) -> list[int]:
    on_happened(lambda event: None)
    relayed(count).work()
    return ids()


# Fresh, and waiting


@pytest.mark.django_db
def test_fresh_events_come_oldest_first_and_only_so_many() -> None:
    happen(4)
    first, second, third, fourth = ids()
    OutboxEvent.objects.mark_relayed([first])
    OutboxEvent.objects.put_aside([second], error="x", seconds=60)
    assert [row.pk for row in OutboxEvent.objects.lock_fresh(1)] == [third]
    assert [row.pk for row in OutboxEvent.objects.lock_fresh(9)] == [third, fourth]
    assert [row.pk for row in OutboxEvent.objects.lock_fresh(9, floor=second)] == [third, fourth]
    assert [row.pk for row in OutboxEvent.objects.lock_fresh(9, floor=fourth)] == [fourth]


@pytest.mark.django_db
def test_relayed_event_has_no_error_any_more_and_keeps_the_time_of_its_relaying() -> None:
    happen(2)
    first, second = ids()
    OutboxEvent.objects.filter(pk=first).update(error="x")
    OutboxEvent.objects.filter(pk=second).update(error="y", relayed_at=after(-DAY))
    OutboxEvent.objects.mark_relayed([first, second])
    assert list(OutboxEvent.objects.order_by("pk").values_list("error", flat=True)) == ["", "y"]
    assert ids(OutboxEvent.objects.filter(relayed_at__lt=after(-DAY / 2))) == [second]


@pytest.mark.django_db(transaction=True)
def test_event_that_commits_late_is_not_passed_over() -> None:
    """G2: ids commit out of order; events are claimed by state, never by `id > last`."""
    on_happened(lambda event: None)
    happen(2)
    early, late = ids()
    row = OutboxEvent.objects.get(pk=early)
    OutboxEvent.objects.filter(pk=early).delete()
    transport = relayed(0)
    assert Delivery.objects.count() == 1
    row.save(force_insert=True)
    relayed(0, transport=transport)
    assert sorted(Delivery.objects.values_list("event_id", flat=True)) == [early, late]


@row_locks
@pytest.mark.django_db(transaction=True)
def test_fresh_events_that_another_relay_holds_are_skipped() -> None:
    """G12."""
    happen(3)

    def fresh() -> list[int]:
        with transaction.atomic():
            return [row.pk for row in OutboxEvent.objects.lock_fresh(9)]

    with transaction.atomic():
        held = [row.pk for row in OutboxEvent.objects.lock_fresh(2)]
        (others,) = in_threads(fresh)
    assert sorted(held + others) == ids()
    assert len(others) == 1


@pytest.mark.django_db
def test_event_whose_time_has_come_is_fresh_again() -> None:
    happen(3)
    OutboxEvent.objects.put_aside(ids(), error="x", seconds=60)
    assert OutboxEvent.objects.release_scheduled(10) == 0
    make_due()
    assert OutboxEvent.objects.release_scheduled(2) == 2
    assert len(ids(OutboxEvent.objects.fresh())) == 2
    assert len(ids(OutboxEvent.objects.scheduled())) == 1


@pytest.mark.django_db
def test_delayed_event_is_not_set_aside() -> None:
    """Both wait for a time; only one of them has an error."""
    happen(2)
    first, second = ids()
    OutboxEvent.objects.filter(pk=first).update(available_at=after(60))
    OutboxEvent.objects.put_aside([second], error="x", seconds=60)
    assert ids(OutboxEvent.objects.scheduled()) == [first, second]
    assert OutboxEvent.objects.retry_known(["t.happened"], within=30, limit=10) == 0
    assert ids(OutboxEvent.objects.set_aside()) == [second]
    assert OutboxEvent.objects.retry_known(["t.happened"], within=60, limit=10) == 1
    assert ids(OutboxEvent.objects.fresh()) == [second]
    assert OutboxEvent.objects.get(pk=second).error == ""


@pytest.mark.django_db
def test_event_that_was_relayed_meanwhile_is_not_put_aside() -> None:
    happen()
    OutboxEvent.objects.mark_relayed(ids())
    OutboxEvent.objects.put_aside(ids(), error="x", seconds=60)
    assert OutboxEvent.objects.get().available_at is None


@pytest.mark.django_db
def test_row_gives_back_the_envelope_it_was_made_of() -> None:
    with transaction.atomic():
        event = publish("t.happened", {"a": 1}, key="k", headers={"h": [1]})
    row = OutboxEvent.objects.get()
    assert row.envelope(row.data) == event
    assert str(row) == f"t.happened {event.id}"


# Pruning


@pytest.mark.django_db
def test_what_is_finished_goes_with_its_deliveries_and_attempts() -> None:
    """G7: in the order that foreign keys ask for."""
    finished(3)
    for row in Delivery.objects.all():
        Attempt.objects.create(delivery=row, number=1, worker="w", finished_at=after(0))
    age(days=31)
    assert prune() == (3, 0)
    assert not OutboxEvent.objects.exists()
    assert not Delivery.objects.exists()
    assert not Attempt.objects.exists()


@pytest.mark.django_db
def test_what_is_younger_than_the_retention_is_kept() -> None:
    kept = finished(3)
    age(days=29)
    assert prune() == (0, 0)
    assert ids() == kept


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["pending", "queued", "running", "dead", "waiting"])
def test_event_with_a_delivery_that_is_not_finished_is_kept(status: str) -> None:
    """G7: however old; dead letters are an operator's."""
    first, second = finished(2)
    row = Delivery.objects.get(event_id=first)
    Delivery.objects.create(
        event_id=first,
        subscriber="t.other",
        queue="q",
        status=status,
        due_at=after(-1),
        lease_until=after(-1),
        token=row.token,
    )
    age(days=400)
    assert prune()[0] == 1
    assert ids() == [first]
    assert Delivery.objects.count() == 2


@pytest.mark.django_db
def test_event_that_was_never_relayed_is_kept() -> None:
    """G2: a broker that is away for a month must not make the outbox forget."""
    happen(2)
    OutboxEvent.objects.update(time=timezone.now() - timedelta(days=400))
    assert prune()[0] == 0
    assert OutboxEvent.objects.count() == 2


@pytest.mark.django_db
def test_event_that_nobody_subscribed_to_is_pruned() -> None:
    happen(1)
    age(days=31)
    assert prune() == (1, 0)


@pytest.mark.django_db
def test_pruning_goes_on_behind_what_must_be_kept() -> None:
    """Dead letters at the head must not hide what is behind them."""
    found = finished(7)
    Delivery.objects.filter(event_id__in=found[:3]).update(status="dead")
    age(days=31)
    rounds, place = [], 0
    while True:
        gone, place = prune(limit=2, after_id=place)
        rounds.append(gone)
        if not place:
            break
    assert ids() == found[:3]
    assert sum(rounds) == 4
    assert max(rounds) <= 2


@pytest.mark.django_db
def test_pruning_stops_where_events_are_young() -> None:
    """Else each round would read the whole table."""
    found = finished(6)
    age(days=31)
    young = OutboxEvent.objects.filter(pk__in=found[2:])
    young.update(relayed_at=after(0), time=timezone.now())
    assert prune(limit=2) == (2, found[1])
    assert prune(limit=2, after_id=found[1]) == (0, 0)


@row_locks
@pytest.mark.django_db(transaction=True)
def test_two_relays_may_prune_at_once() -> None:
    """G12."""
    finished(20)
    age(days=31)
    gone = in_threads(lambda: prune(limit=20)[0], lambda: prune(limit=20)[0])
    assert sum(gone) == 20
    assert not OutboxEvent.objects.exists()
