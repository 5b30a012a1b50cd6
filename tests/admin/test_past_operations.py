"""Who had what done to a delivery by a bulk operation, on its own page and on its event's."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, OutboxEvent
from eda_django.models.past_operations import past_operations
from eda_django.relay import Relay
from tests.console import ACTIONS, VIEW, dead, event_row, operator, retrying, text, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


def all_of(client: Client, verb: str, query: str, reason: str = "") -> BulkOperation:
    """Have everything that the filter matches done."""
    data = {"verb": verb, "query": query, "confirmed": 1, "reason": reason}
    client.post(url("delivery_act_on_all"), data)
    Relay(transport=Recorder()).operate()
    operation: BulkOperation = BulkOperation.objects.latest("pk")
    return operation


def told_of(row: Any) -> list[int]:
    """Return the operations that the delivery's page tells of."""
    row.refresh_from_db()
    return [operation.pk for operation, _rows in past_operations(row.event, [row])]


def test_a_delivery_and_its_event_tell_who_discarded_it_with_many_others() -> None:
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, "discard_delivery")
    operation = all_of(client, "discard", "status=dead&subscriber=testapp.behave", "obsolete")
    about = f"{operation.operator}: Discarded: obsolete"
    page = text(client, url("delivery_change", rows[1].pk))
    assert about in page
    assert f'href="{url("bulkoperation_change", operation.pk)}"' in page
    story = client.get(url("outboxevent_change", rows[1].event_id)).context["timeline"]
    (entry,) = [entry for entry in story if entry.text == about]
    assert entry.detail == f"bulk operation {operation.pk}, which may have changed 1 delivery here"
    assert entry.at == operation.created_at
    with override_settings(LANGUAGE_CODE="de"):
        assert "Verworfen: obsolete" in text(client, url("delivery_change", rows[1].pk))


def test_it_is_told_also_after_the_delivery_has_gone_on() -> None:
    row = dead()
    operation = all_of(operator(*VIEW, *ACTIONS), "retry", "status=dead")
    assert told_of(row) == [operation.pk]
    ended = {"status": "succeeded", "finished_at": timezone.now() + timedelta(minutes=1)}
    Delivery.objects.update(**ended)
    assert told_of(row) == [operation.pk]


@pytest.mark.parametrize(
    ("query", "is_meant"),
    [
        ("subscriber=testapp.behave", True),
        ("subscriber=testapp.mail", False),
        ("queue=default", True),
        ("queue=slow", False),
        (f"fingerprint={'f' * 32}", True),
        (f"fingerprint={'e' * 32}", False),
        ("q=order-7", True),
        ("q=order-8", False),
        ("q=00000000-0000-0000-0000-000000000000", False),
        ("age=minute", False),
        ("error_class=ValueError", True),
        ("error_class=KeyError", False),
        ("error_class=aside", False),
        ("", True),
    ],
)
def test_only_operations_whose_filter_has_it_are_told(query: str, is_meant: bool) -> None:
    row = dead(event=event_row(key="order-7"))
    all_of(operator(*VIEW, *ACTIONS), "retry", query)
    assert bool(told_of(row)) is is_meant


def test_an_event_or_a_delivery_is_found_by_its_number_as_the_list_finds_it() -> None:
    row, other = dead(), dead()
    client = operator(*VIEW, *ACTIONS)
    # A key may look like an event's id.
    key = str(uuid4())
    OutboxEvent.objects.filter(pk=row.event_id).update(key=key)
    row = Delivery.objects.get(pk=row.pk)
    for query in (f"q={row.pk}", f"q={row.event.event_id}", f"q={key}"):
        Delivery.objects.filter(pk=row.pk).update(status="dead", finished_at=timezone.now())
        operation = all_of(client, "retry", query)
        assert operation.pk in told_of(row)
    assert told_of(other) == []


def test_what_was_put_aside_is_told_who_sent_it_on_or_dropped_it() -> None:
    due = timezone.now() + timedelta(hours=1)
    aside: dict[str, Any] = {"status": "pending", "due_at": due, "finished_at": None, "attempts": 0}
    sent, dropped = (dead(error_class="eda_django.Unpushable", **aside) for _ in range(2))
    client = operator(*VIEW, *ACTIONS)
    operation = all_of(client, "retry_now", f"error_class=aside&q={sent.pk}")
    assert told_of(sent) == [operation.pk]
    operation = all_of(client, "discard", f"error_class=aside&q={dropped.pk}", "obsolete")
    assert told_of(dropped) == [operation.pk]


def test_what_nothing_can_have_been_done_to_is_not_told_of_it() -> None:
    """What was over before, what came later, what never failed, and what was not come to."""
    over = dead(status="succeeded", finished_at=timezone.now() - timedelta(minutes=1))
    young = dead(status="queued", lease_until=timezone.now(), token=over.event.event_id)
    fine = dead(status="succeeded", error_class="", fingerprint="")
    # It ended while the operation ran, and well.
    client = operator(*VIEW, *ACTIONS)
    ends = timezone.now() + timedelta(minutes=1)
    for verb in ("retry", "discard"):
        data = {"verb": verb, "query": "status=dead", "confirmed": 1, "reason": "obsolete"}
        dead(subscriber="testapp.mail")
        client.post(url("delivery_act_on_all"), data)
        assert told_of(retrying(subscriber="testapp.mail")) == []
        Relay(transport=Recorder()).operate()
    Delivery.objects.filter(pk__in=[young.pk, fine.pk]).update(status="succeeded", finished_at=ends)
    newer = dead()
    assert told_of(over) == told_of(fine) == told_of(newer) == []
    retry = BulkOperation.objects.get(verb="retry")
    # That one it may have been done to: it has failed before, and nothing keeps when.
    assert told_of(young) == [retry.pk]


def test_one_that_was_cancelled_is_told_of_what_it_came_to() -> None:
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, *ACTIONS)
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    Relay(transport=Recorder(), batch_size=2).operate()
    operation = BulkOperation.objects.get()
    client.post(url("bulkoperation_cancel", operation.pk))
    assert [told_of(row) for row in rows] == [[operation.pk], [operation.pk], []]


def test_one_by_hand_afterwards_is_another_discarding() -> None:
    row = dead()
    client = operator(*VIEW, *ACTIONS)
    all_of(client, "retry", "status=dead")
    # Its filter is about a state that the delivery was not in.
    earlier = all_of(client, "discard", "status=succeeded", "by hand")
    data = {"verb": "discard", "ids": [row.pk], "confirmed": 1, "reason": "by hand"}
    client.post(url("delivery_act"), data)
    assert earlier.pk not in told_of(row)


def test_only_the_newest_operations_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    row = dead()
    client = operator(*VIEW, *ACTIONS)
    found = []
    for _ in range(4):
        Delivery.objects.update(status="dead", finished_at=timezone.now())
        found.append(all_of(client, "retry", "").pk)
    assert told_of(row) == found[::-1]
    monkeypatch.setattr("eda_django.models.past_operations.LATEST", 2)
    assert told_of(row) == found[:1:-1]


def test_an_operation_of_newer_code_is_passed_over() -> None:
    row = dead()
    operation = all_of(operator(*VIEW, *ACTIONS), "retry", "")
    BulkOperation.objects.update(selection={**operation.selection, "region": "north"})
    assert told_of(row) == []


def test_an_operation_that_did_nothing_is_not_told() -> None:
    """Nobody was retried: to say so of one would send its reader the wrong way."""
    row = retrying()
    operation = all_of(operator(*VIEW, *ACTIONS), "retry", "")
    assert (operation.changed, operation.is_done) == (0, True)
    assert told_of(row) == []
