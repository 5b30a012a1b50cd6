"""What operators do to everything that a filter matches."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import override

from eda_django.admin.bulk import in_words
from eda_django.admin.history import translated
from eda_django.models import BulkOperation, Delivery
from eda_django.models.selection import Selection
from eda_django.relay import Relay
from tests.admin.acting import log, status
from tests.console import ACTIONS, VIEW, dead, event_row, operator, retrying, said, text, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


def test_everything_that_the_filter_matches_is_done_by_a_relay_and_shown() -> None:
    rows = [dead() for _ in range(3)]
    other = dead("testapp.mail")
    client = operator(*VIEW, "discard_delivery")
    data = {"verb": "discard", "query": "status=dead&subscriber=testapp.behave"}
    asked = client.post(url("delivery_act_on_all"), data)
    assert b"every delivery with state: Dead, subscription: testapp.behave." in asked.content
    assert b"Say why" in client.post(url("delivery_act_on_all"), {**data, "confirmed": 1}).content
    assert not BulkOperation.objects.exists()
    client.post(url("delivery_act_on_all"), {**data, "confirmed": 1, "reason": "obsolete"})
    operation = BulkOperation.objects.get()
    page = url("bulkoperation_change", operation.pk)
    assert b"No relay runs" in client.get(page).content
    # The title is not refreshed: it says nothing that changes.
    assert client.get(page).context["title"] == f"Discard #{operation.pk}"
    Relay(transport=Recorder()).drain()
    content = client.get(page).content.decode()
    assert "3 deliveries were discarded." in content
    assert "100 %" in content
    assert status(other) == "dead"
    assert [status(row) for row in rows] == ["discarded"] * 3
    expected = "Began to discard: obsolete (status=dead, subscriber=testapp.behave)"
    ended = "Ended: done to 3, passed over 0, left 0."
    assert log() == [(str(operation.pk), expected), (str(operation.pk), ended)]
    assert {entry.user.username for entry in LogEntry.objects.all()} == {operation.operator}


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("retry", "Began to retry. (*)"),
        ("retry_now", "Began to retry now. (*)"),
        ("discard", "Began to discard: why (*)"),
    ],
)
def test_the_log_says_of_an_operation_that_was_stopped_at_once_no_more_than_was_done(
    verb: str, told: str
) -> None:
    dead()
    client = operator(*VIEW, *ACTIONS)
    reason = "why" if verb == "discard" else ""
    client.post(url("delivery_act_on_all"), {"verb": verb, "confirmed": 1, "reason": reason})
    client.post(url("bulkoperation_cancel", BulkOperation.objects.get().pk))
    left = 0 if verb == "retry_now" else 1
    assert [text for _, text in log()] == [
        told,
        f"Cancelled: done to 0, passed over 0, left {left}.",
    ]


def test_the_question_says_to_how_many_it_would_be_done() -> None:
    """Those in a state for the verb, and not all that the filter matches."""
    for _ in range(3):
        dead()
    retrying()
    dead(status="succeeded")
    everything = operator(*VIEW, *ACTIONS)

    def asked(verb: str, query: str = "") -> str:
        data = {"verb": verb, "query": query}
        return everything.post(url("delivery_act_on_all"), data).content.decode()

    assert "it would be done to: Dead: 3." in asked("retry")
    assert "it would be done to: Pending: 1." in asked("retry_now")
    assert "it would be done to: Pending: 1, Dead: 3." in asked("discard")
    assert "none of them is in a state for it" in asked("retry", "status=succeeded")


def test_the_filter_is_told_in_words() -> None:
    """Every part of a selection has a name for people."""
    every = Selection(
        status="retrying",
        subscriber="a.b",
        queue="slow",
        error_class="aside",
        fingerprint="f0",
        age="minute",
        until_event=7,
        search="order-7",
    )
    assert all(every.as_json().values())
    assert in_words(every) == (
        "state: Retrying, subscription: a.b, queue: slow, error: Set aside, cause: f0, "
        "age: Over a minute, events before number: 7, search: order-7"
    )
    assert in_words(Selection()) == "all"
    with override("de"):
        assert in_words(Selection(status="dead")) == "Zustand: Tot"


def test_many_are_counted_no_further_than_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.models.bulk_operation.COUNTED", 2)
    for _ in range(3):
        dead()
    data = {"verb": "retry", "query": ""}
    asked = operator(*VIEW, *ACTIONS).post(url("delivery_act_on_all"), data)
    assert b"it would be done to: Dead: 2 or more." in asked.content


@pytest.mark.parametrize("query", ["subscriber=testapp.mail", "queue=slow", "error_class=KeyError"])
def test_of_a_filter_without_an_index_no_more_is_read_than_a_bound(
    monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """What matches may be the last of a million, or none of them."""
    monkeypatch.setattr("eda_django.models.bulk_operation.COUNTED", 2)
    for _ in range(3):
        dead()
    client = operator(*VIEW, *ACTIONS)
    data = {"verb": "retry", "query": query}
    with CaptureQueriesContext(connection) as captured:
        asked = client.post(url("delivery_act_on_all"), data)
    assert b"it would be done to: Dead: 0 or more." in asked.content
    (sql,) = [one["sql"] for one in captured if "COUNT" in one["sql"]]
    outer, inner = sql.split("(SELECT", 1)
    assert query.split("=")[1] in outer
    assert "LIMIT 2" in inner
    client.post(url("delivery_act_on_all"), {**data, "confirmed": 1})
    operation = BulkOperation.objects.get()
    page = url("bulkoperation_change", operation.pk)
    assert "<dt>Left to do</dt><dd>Dead: 0 or more</dd>" in text(client, page)
    client.post(url("bulkoperation_cancel", operation.pk))
    assert log()[-1][1] == "Cancelled: done to 0, passed over 0, left 0 or more."
    with override("de"):
        told = "Abgebrochen: getan mit 0, übergangen 0, übrig 0 oder mehr."
        assert translated(log()[-1][1]) == told


def test_what_an_index_leads_to_is_counted_among_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.models.bulk_operation.COUNTED", 2)
    for _ in range(3):
        dead()
    one = dead("testapp.mail", fingerprint="e" * 32, event=event_row(key="order-7"))
    client = operator(*VIEW, *ACTIONS)
    cause = f"subscriber=testapp.mail&fingerprint={one.fingerprint}"
    for query in (cause, "q=order-7", f"q={one.pk}"):
        asked = client.post(url("delivery_act_on_all"), {"verb": "retry", "query": query})
        assert b"it would be done to: Dead: 1." in asked.content, query


def test_nothing_is_counted_while_a_cancel_holds_its_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    depths = [len(connection.savepoint_ids)]
    count = BulkOperation.left

    def left(operation: BulkOperation) -> Any:
        depths.append(len(connection.savepoint_ids))
        return count(operation)

    monkeypatch.setattr(BulkOperation, "left", left)
    client.post(url("bulkoperation_cancel", BulkOperation.objects.get().pk))
    before, within = depths
    assert within == before


def test_what_is_left_is_shown_and_logged_when_it_is_cancelled() -> None:
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    operation = BulkOperation.objects.get()
    Relay(transport=Recorder(), batch_size=1).operate()
    page = text(client, url("bulkoperation_change", operation.pk))
    assert "1 delivery is retried." in page
    assert "<dt>Left to do</dt><dd>Dead: 2</dd>" in page
    # What came later is not among it.
    dead()
    client.post(url("bulkoperation_cancel", operation.pk))
    assert log()[-1] == (str(operation.pk), "Cancelled: done to 1, passed over 0, left 2.")
    # By whom says its history.
    history = url("bulkoperation_history", operation.pk)
    assert f'<a href="{history}" class="historylink">' in page
    assert "Cancelled: done to 1, passed over 0, left 2." in text(client, history)
    assert [status(row) for row in rows] == ["pending", "dead", "dead"]


def test_an_operation_is_not_cancelled_without_an_entry_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)

    def fail(*args: object) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr("eda_django.admin.operations.log", fail)
    cancel = url("bulkoperation_cancel", BulkOperation.objects.get().pk)
    with pytest.raises(RuntimeError):
        client.post(cancel)
    assert BulkOperation.objects.get().status == "running"


def test_an_end_is_no_error_where_the_operator_has_left() -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    User.objects.all().delete()
    Relay(transport=Recorder()).operate()
    assert BulkOperation.objects.get().status == "done"
    assert log() == []


def test_the_list_and_the_operation_mean_the_same() -> None:
    """What was seen is what is acted on."""
    event = event_row(key="order-7")
    dead(event=event)
    dead("testapp.mail", event=event, queue="slow")
    retrying()
    late = {"attempts": 0, "due_at": timezone.now(), "error_class": "eda_django.Unpushable"}
    dead("testapp.late", event=event, status="pending", **late)
    dead("testapp.once", event=event, status="succeeded", error_class="eda_django.Unpushable")
    client = operator(*VIEW, "retry_delivery")
    queries = ["status=retrying", "queue=slow", "q=order-7", f"q={event.event_id}", "age=hour"]
    queries += [f"error_class={kind}" for kind in ("aside", "eda_django.Unpushable", "ValueError")]
    queries += [f"fingerprint={'f' * 32}", "subscriber=testapp.mail"]
    for query in queries:
        seen = client.get(f"{url('delivery_changelist')}?{query}").context["cl"].result_list
        client.post(url("delivery_act_on_all"), {"verb": "retry", "query": query, "confirmed": 1})
        operation = BulkOperation.objects.latest("pk")
        chosen = Selection.of(operation.selection).among(Delivery.objects.all())
        assert {row.pk for row in chosen} == {row.pk for row in seen}, query
        if "age" not in query:
            assert 0 < len(seen) < Delivery.objects.count(), query
    # What only one of the two would understand, the list refuses.
    assert client.get(f"{url('delivery_changelist')}?id__lt=0").status_code == 400


def test_an_operation_is_cancelled_by_whoever_may_begin_one() -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    cancel = url("bulkoperation_cancel", BulkOperation.objects.get().pk)
    assert operator(*VIEW).post(cancel).status_code == 403
    assert client.get(cancel).status_code == 403
    assert said(client.post(cancel, follow=True)) == ["Cancelled. What was done stays done."]
    assert said(client.post(cancel, follow=True)) == ["It had ended already."]
    assert BulkOperation.objects.get().status == "cancelled"


def test_an_age_is_told_as_it_was_chosen() -> None:
    """The number that it stands for says nothing to whoever is asked."""
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "age=minute"}
    asked = client.post(url("delivery_act_on_all"), data).content.decode()
    assert "age: Over a minute, events before number" in asked
    client.post(url("delivery_act_on_all"), {**data, "confirmed": 1})
    operation = BulkOperation.objects.get()
    assert "age: Over a minute" in text(client, url("bulkoperation_change", operation.pk))
    assert "age=minute" in log()[-1][1]


def test_a_key_with_more_events_than_are_looked_at_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(2):
        dead(event=event_row(key="order-7"))
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "q=order-7"}
    told = "Of this key no more than the newest"
    page = f"{url('delivery_changelist')}?q=order-7"
    assert told not in text(client, page)
    for module in ("models.selection", "admin.bulk", "admin.deliveries"):
        monkeypatch.setattr(f"eda_django.{module}.SAME_KEY", 2)
    assert f"{told} 2 events" in text(client, page)
    asked = client.post(url("delivery_act_on_all"), data).content.decode()
    assert f"{told} 2 events" in asked
