"""Bulk operations: in bounded batches, by a relay, with progress, until they end or are stopped."""

from typing import Any

import pytest

from eda_django import signals
from eda_django.models import BulkOperation, Delivery, OutboxEvent, bulk_operation, look
from eda_django.models.bulk_operation import Verb
from eda_django.models.clock import after
from eda_django.models.locking import writing
from eda_django.models.selection import Selection
from eda_django.models.status import OperationStatus
from eda_django.relay import Relay
from tests.relaying import (
    Recorder,
    happen,
    in_threads,
    on_happened,
    relayed,
    row_locks,
    statuses,
)

pytestmark = pytest.mark.django_db(transaction=True)


def die(count: int) -> list[int]:
    """Make dead deliveries, and return their numbers."""
    on_happened(lambda event: None)
    ids = relayed(count).ids
    Delivery.objects.update(status="dead", attempts=3, lease_until=None, finished_at=after(0))
    return ids


def begin(verb: Verb = Verb.RETRY, *, reason: str = "", **selected: Any) -> Any:
    selection = Selection(**{"status": "dead", **selected})
    return BulkOperation.objects.begin(verb, selection, operator="ada", reason=reason)


def relay(**options: Any) -> Relay:
    return Relay(transport=Recorder(), **options)


def test_an_operation_is_done_by_a_relay_in_batches() -> None:
    die(7)
    begin()
    one = relay(batch_size=3)
    seen = []
    while look("default").must_operate:
        one.operate()
        row = BulkOperation.objects.get()
        seen.append((row.changed, row.status, row.percent))
    assert [changed for changed, _, _ in seen] == [3, 6, 7]
    assert [percent for _, _, percent in seen] == [42, 85, 100]
    assert seen[-1][1] == OperationStatus.DONE
    assert statuses() == ["pending"] * 7


def test_an_operation_tells_who_wants_what() -> None:
    die(1)
    begin(Verb.DISCARD, reason="obsolete", subscriber="t.sub")
    row = BulkOperation.objects.get()
    assert (row.verb, row.operator, row.reason) == ("discard", "ada", "obsolete")
    assert Selection.of(row.selection) == Selection(status="dead", subscriber="t.sub")
    assert (row.status, row.changed, row.passed_over, row.percent) == ("running", 0, 0, 0)


def test_a_relay_that_looks_finds_it() -> None:
    ids = die(2)
    begin(Verb.DISCARD, reason="obsolete")
    relay().drain()
    rows = Delivery.objects.filter(pk__in=ids)
    assert {(row.status, row.error_text) for row in rows} == {("discarded", "obsolete")}


def test_it_touches_what_the_selection_means_and_nothing_else() -> None:
    ids = die(4)
    Delivery.objects.filter(pk=ids[0]).update(subscriber="t.other")
    Delivery.objects.filter(pk=ids[1]).update(status="succeeded")
    begin(subscriber="t.sub")
    relay().drain()
    assert sorted(statuses()) == ["dead", "queued", "queued", "succeeded"]


def test_what_comes_later_is_not_part_of_it() -> None:
    die(2)
    begin()
    happen()
    newest = OutboxEvent.objects.order_by("-pk")[0]
    Delivery.objects.create(event=newest, subscriber="t.sub", queue="default", status="dead")
    one = relay()
    while look("default").must_operate:
        one.operate()
    assert sorted(statuses()) == ["dead", "pending", "pending"]


def test_a_step_walks_past_a_stride_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that matches little must not keep the relay from its work."""
    monkeypatch.setattr(bulk_operation, "STRIDE", 10)
    ids = die(25)
    Delivery.objects.filter(pk__lt=ids[-1]).update(status="succeeded")
    begin()
    percents = []
    one = relay()
    while look("default").must_operate:
        one.operate()
        percents.append(BulkOperation.objects.get().percent)
    assert percents == [40, 80, 100]
    assert statuses()[-1] == "pending"


def test_a_cancelled_one_stops_and_what_was_done_stays_done() -> None:
    die(4)
    row = begin()
    one = relay(batch_size=2)
    one.operate()
    assert BulkOperation.objects.cancel(row.pk)
    assert not BulkOperation.objects.cancel(row.pk)
    assert one.operate() == 0
    assert sorted(statuses()) == ["dead", "dead", "pending", "pending"]
    assert not look("default").must_operate


def test_receivers_are_told_once_when_it_has_ended() -> None:
    die(2)
    begun, one = begin(), relay(batch_size=1)
    told: list[tuple[int, str]] = []

    def receive(*, operation: BulkOperation, **_: Any) -> None:
        told.append((operation.pk, operation.status))

    signals.operation_ended.connect(receive, sender=BulkOperation)
    try:
        while one.operate():
            pass
    finally:
        signals.operation_ended.disconnect(receive, sender=BulkOperation)
    assert told == [(begun.pk, "done")]


def test_nothing_to_do_is_done_at_once() -> None:
    begin()
    relay().operate()
    row = BulkOperation.objects.get()
    assert (row.status, row.changed, row.percent) == (OperationStatus.DONE, 0, 100)


def test_what_was_passed_over_is_counted() -> None:
    """Of all batches together, and each delivery once."""
    die(5)
    begin(Verb.RETRY_NOW)
    one = relay(batch_size=2)
    while look("default").must_operate:
        one.operate()
    row = BulkOperation.objects.get()
    assert (row.changed, row.passed_over) == (0, 5)


def test_what_was_done_is_not_counted_as_passed_over() -> None:
    ids = die(3)
    Delivery.objects.filter(pk=ids[1]).update(status="running", lease_until=after(60))
    begin(Verb.DISCARD, status="", reason="obsolete")
    relay().operate()
    row = BulkOperation.objects.get()
    assert (row.changed, row.passed_over) == (2, 1)
    assert statuses() == ["discarded", "running", "discarded"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_operation_is_on_the_deliveries_of_its_own_database() -> None:
    die(2)
    on_happened(lambda event: None, name="t.there")
    happen(3, using="other")
    Relay(using="other", transport=Recorder()).poll()
    there = Delivery.objects.using("other")
    there.update(status="dead", lease_until=None)
    selection = Selection(status="dead")
    BulkOperation.objects.using("other").begin(Verb.RETRY, selection, operator="ada", reason="")
    begun = BulkOperation.objects.using("other").get()
    reach = begun.left()
    assert reach is not None
    assert reach.total == there.count() > 2
    relay().operate()
    assert set(there.values_list("status", flat=True)) == {"dead"}
    relay(using="other").operate()
    assert set(there.values_list("status", flat=True)) == {"pending"}
    assert statuses() == ["dead", "dead"]


def test_a_selection_of_newer_code_is_left_to_newer_code() -> None:
    """G10: without the part that it can't read it would select too much."""
    die(2)
    row = begin()
    BulkOperation.objects.update(selection={**row.selection, "colour": "red"})
    assert relay().operate() == 0
    assert statuses() == ["dead", "dead"]
    assert BulkOperation.objects.get().status == OperationStatus.RUNNING


def test_a_verb_of_newer_code_is_left_to_newer_code() -> None:
    """G10: what is to be done is not guessed; one that was begun later goes on meanwhile."""
    die(2)
    unknown, known = begin(), begin(Verb.DISCARD, reason="obsolete")
    BulkOperation.objects.filter(pk=unknown.pk).update(verb="postpone")
    assert relay(batch_size=1).operate() == 1
    assert sorted(statuses()) == ["dead", "discarded"]
    assert BulkOperation.objects.cancel(known.pk)
    assert relay().operate() == 0
    unknown.refresh_from_db()
    assert (unknown.status, unknown.changed, unknown.left()) == (OperationStatus.RUNNING, 0, None)


def test_what_is_left_of_one_that_is_done_came_since() -> None:
    first, _ = die(2)
    row = begin()
    assert row.left().counts == {"dead": 2}
    relay().operate()
    Delivery.objects.filter(pk=first).update(status="dead", due_at=None)
    row.refresh_from_db()
    assert row.status == OperationStatus.DONE
    assert row.left().counts == {"dead": 1}


def test_what_is_queued_is_in_reach_of_a_discard() -> None:
    on_happened(lambda event: None)
    relayed(3)
    reach = bulk_operation.within_reach(Delivery.objects.all(), Selection(), Verb.DISCARD)
    assert reach.counts == {"queued": 3}


@pytest.mark.parametrize("verb", ["postpone", "Retry", ""])
def test_nothing_is_done_for_a_verb_that_is_not_known(verb: str) -> None:
    die(1)
    with pytest.raises(ValueError, match=f"'{verb}' is not a valid Verb"):
        bulk_operation.act(Delivery.objects.all(), verb, "obsolete")
    assert statuses() == ["dead"]


def test_a_selection_of_older_code_is_read_by_newer_code() -> None:
    """It has no word of a part that there was not."""
    die(2)
    stored = begin().selection
    del stored["error_class"]
    BulkOperation.objects.update(selection=stored)
    assert relay().operate() == 1
    assert statuses() == ["pending", "pending"]


@row_locks
def test_two_relays_do_not_do_the_same_batch() -> None:
    """G12."""
    die(4)
    begin()

    def locked() -> list[int]:
        with writing("default"):
            step = BulkOperation.objects.step(2)
            return in_threads(lambda: relay().operate()) if step else []

    assert locked() == [0]
    assert BulkOperation.objects.get().changed == 2


def test_an_event_that_is_too_young_is_not_selected() -> None:
    die(3)
    newest = Delivery.objects.order_by("-pk")[0]
    begin(until_event=newest.event_id)
    relay().operate()
    assert statuses() == ["pending", "pending", "dead"]
