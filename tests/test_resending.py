"""Sending an event again: to whom, on whose row, and what begins anew."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.models.locking import writing
from eda_django.models.operator_verbs import Before
from eda_django.models.outbox import TICK
from tests.relaying import in_threads, on_happened, relayed, seconds_until

pytestmark = pytest.mark.django_db(transaction=True)


def delivered(count: int, *names: str) -> list[int]:
    """Publish, and deliver to subscribers of these names; return the events' numbers."""
    for name in names:
        on_happened(lambda event: None, name=name)
    relayed(count).work()
    return list(OutboxEvent.objects.order_by("pk").values_list("pk", flat=True))


def resend(event_id: int, queues: dict[str, str]) -> Any:
    seen = OutboxEvent.objects.get(pk=event_id).relayed_at
    with writing("default"):
        assert OutboxEvent.objects.take_to_resend(event_id, seen)
        return Delivery.objects.resend(event_id, queues, key="order-7")


def states() -> dict[tuple[int, str], str]:
    rows = Delivery.objects.values_list("event_id", "subscriber", "status")
    return {(event_id, subscriber): status for event_id, subscriber, status in rows}


def test_it_is_of_this_event_and_to_these_subscribers_only() -> None:
    first, second = delivered(2, "t.one", "t.two")
    was = Delivery.objects.get(event_id=first, subscriber="t.one")
    before = Before(subscriber="t.one", status="succeeded", finished_at=was.finished_at)
    assert was.finished_at is not None
    assert resend(first, {"t.one": "default"}).again == (before,)
    assert states() == {
        (first, "t.one"): "pending",
        (first, "t.two"): "succeeded",
        (second, "t.one"): "succeeded",
        (second, "t.two"): "succeeded",
    }


def test_what_goes_again_has_all_its_attempts() -> None:
    (event_id,) = delivered(1, "t.sub")
    resend(event_id, {"t.sub": "default"})
    row = Delivery.objects.get()
    assert (row.attempts, row.started_at, row.finished_at, row.token) == (0, None, None, None)
    assert seconds_until(row.due_at) <= 0


def test_who_never_got_it_gets_it_from_the_queue_named() -> None:
    (event_id,) = delivered(1, "t.old")
    assert resend(event_id, {"t.new": "slow"}).new == ("t.new",)
    row = Delivery.objects.get(subscriber="t.new")
    assert (row.event_id, row.queue, row.status, row.attempts) == (event_id, "slow", "pending", 0)
    assert row.key == "order-7"
    assert seconds_until(row.due_at) <= 0


def test_the_retention_of_this_event_begins_anew_and_of_no_other() -> None:
    first, second = delivered(2, "t.sub")
    OutboxEvent.objects.update(relayed_at=after(-60))
    resend(first, {"t.sub": "default"})
    assert seconds_until(OutboxEvent.objects.get(pk=first).relayed_at) > -30
    assert seconds_until(OutboxEvent.objects.get(pk=second).relayed_at) < -30


@pytest.mark.parametrize("microseconds", [0, 1, 999_000, 999_999])
def test_who_wished_it_twice_gets_it_once_also_at_the_same_time(microseconds: int) -> None:
    (event_id,) = delivered(1, "t.sub")
    at = timezone.now().replace(microsecond=microseconds) - timedelta(minutes=1)
    OutboxEvent.objects.update(relayed_at=at)
    seen: Any = OutboxEvent.objects.get().relayed_at
    for other in (seen - TICK, seen + TICK, None):
        assert not OutboxEvent.objects.take_to_resend(event_id, other)

    def take() -> bool:
        with writing("default"):
            return bool(OutboxEvent.objects.take_to_resend(event_id, seen))

    assert sorted(in_threads(*[take] * 4)) == [False, False, False, True]


def test_a_whole_second_is_found_as_the_clock_of_the_database_writes_it() -> None:
    """With digits behind it, which Django leaves out; to SQLite that is another text."""
    (event_id,) = delivered(1, "t.sub")
    with connection.cursor() as cursor:
        at = "2026-01-02 03:04:05.000000"
        cursor.execute("UPDATE eda_django_outboxevent SET relayed_at = %s", [at])
    seen = OutboxEvent.objects.get().relayed_at
    assert OutboxEvent.objects.take_to_resend(event_id, seen)
    assert OutboxEvent.objects.take_to_resend(event_id, OutboxEvent.objects.get().relayed_at)
