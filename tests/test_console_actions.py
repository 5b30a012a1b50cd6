"""What operators do: each thing with its own permission, after asking, logged, and told exactly."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, FailureNote, OutboxEvent
from eda_django.models.selection import Selection
from eda_django.relay import Relay
from tests.console import ACTIONS, VIEW, dead, event_row, operator, retrying, said, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db

VERBS = {
    "retry": "retry_delivery",
    "retry_now": "retry_delivery_now",
    "discard": "discard_delivery",
}


def post(client: Client, verb: str, *rows: Any, **values: Any) -> Any:
    ids = [row.pk for row in rows]
    data = {"verb": verb, "ids": ids, "back": url("delivery_changelist"), **values}
    return client.post(url("delivery_act"), data, follow=True)


def status(row: Any) -> str:
    row.refresh_from_db()
    return str(row.status)


def log() -> list[tuple[str | None, str]]:
    return list(LogEntry.objects.order_by("pk").values_list("object_id", "change_message"))


# One at a time


def test_a_dead_letter_is_retried_and_logged() -> None:
    row = dead()
    answer = post(operator(*VIEW, "retry_delivery"), "retry", row)
    assert said(answer) == ["1 delivery is retried."]
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 0)
    assert log() == [(str(row.pk), "Retried.")]


def test_a_wait_is_ended() -> None:
    row = retrying()
    answer = post(operator(*VIEW, "retry_delivery_now"), "retry_now", row)
    assert said(answer) == ["1 delivery goes out now."]
    row.refresh_from_db()
    assert row.due_at <= timezone.now()


def test_to_discard_one_needs_a_reason() -> None:
    row = dead()
    client = operator(*VIEW, "discard_delivery")
    assert b"Reason" in post(client, "discard", row).content
    again = post(client, "discard", row, confirmed="yes", reason="  ")
    assert b"Say why" in again.content
    assert status(row) == "dead"
    answer = post(client, "discard", row, confirmed="yes", reason="sent by hand")
    assert said(answer) == ["1 delivery was discarded."]
    assert status(row) == "discarded"
    assert row.error_text == "sent by hand"
    assert log() == [(str(row.pk), "Discarded: sent by hand")]


def test_what_has_changed_meanwhile_is_told() -> None:
    rows = [dead(), dead(), dead(status="succeeded")]
    answer = post(operator(*VIEW, "retry_delivery"), "retry", *rows, confirmed="yes", reason="r")
    assert said(answer) == [
        "2 deliveries are retried. 1 was passed over: it is in another state by now, or in a "
        "worker's hands."
    ]
    assert len(log()) == 2


# A selection


def test_the_console_asks_before_it_acts_on_more_than_one() -> None:
    rows = [dead(), dead()]
    client = operator(*VIEW, "retry_delivery")
    asked = post(client, "retry", *rows)
    assert b"This is about 2 deliveries." in asked.content
    assert [status(row) for row in rows] == ["dead", "dead"]
    answer = post(client, "retry", *rows, confirmed="yes", reason="mended")
    assert said(answer) == ["2 deliveries are retried."]
    assert {message for _, message in log()} == {"Retried: mended"}


@pytest.mark.parametrize(("verb", "permission"), VERBS.items())
def test_the_list_offers_what_the_user_may_do_and_nothing_else(verb: str, permission: str) -> None:
    row = dead()
    client = operator(*VIEW, permission)
    page = client.get(url("delivery_changelist"))
    names = [name for name, _ in page.context["action_form"].fields["action"].choices if name]
    assert names == [verb]
    form = {"action": verb, "_selected_action": [row.pk]}
    answer = client.post(url("delivery_changelist") + "?status=dead", form)
    assert answer.status_code in (200, 302)


def test_an_action_of_the_list_comes_back_to_the_same_list() -> None:
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    address = url("delivery_changelist") + "?status=dead"
    answer = client.post(address, {"action": "retry", "_selected_action": [row.pk]})
    assert answer["Location"] == address
    assert status(row) == "pending"


# Who may not


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_may_only_view_sees_no_action_and_can_call_none(verb: str) -> None:
    row = dead()
    client = operator(*VIEW)
    for page in (
        url("delivery_changelist"),
        url("delivery_change", row.pk),
        url("outboxevent_change", row.event_id),
        url("failure_changelist"),
        f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}",
    ):
        content = client.get(page).content
        assert b'name="verb"' not in content
        assert b"/resend/" not in content
    assert post(client, verb, row, confirmed="yes", reason="r").status_code == 403
    group = {"subscriber": row.subscriber, "fingerprint": row.fingerprint}
    wanted = {"verb": verb, "confirmed": "yes", "reason": "r", **group}
    for name in ("failure_canary", "failure_act", "delivery_act_on_all"):
        assert client.post(url(name), wanted).status_code == 403
    assert client.post(url("failure_note"), {**group, "text": "x"}).status_code == 403
    form = {"action": verb, "_selected_action": [row.pk]}
    client.post(url("delivery_changelist"), form)
    assert status(row) == "dead"
    assert log() == []


@pytest.mark.parametrize("verb", VERBS)
def test_one_permission_does_not_give_another(verb: str) -> None:
    others = [name for own, name in VERBS.items() if own != verb]
    row = dead()
    client = operator(*VIEW, *others)
    assert post(client, verb, row, confirmed="yes", reason="r").status_code == 403
    assert status(row) == "dead"


def test_whoever_may_act_but_not_look_can_do_nothing() -> None:
    row = dead()
    client = operator(*ACTIONS, "resend_outboxevent")
    assert post(client, "retry", row).status_code == 403
    assert client.post(url("outboxevent_resend", row.event_id), {}).status_code == 403


@pytest.mark.parametrize(
    "name", ["delivery_act", "delivery_act_on_all", "failure_canary", "failure_act"]
)
def test_nothing_is_changed_by_a_link(name: str) -> None:
    row = dead()
    client = operator(is_superuser=True)
    query = {"verb": "retry", "ids": row.pk, "confirmed": "yes", "subscriber": row.subscriber}
    assert client.get(url(name), {**query, "fingerprint": row.fingerprint}).status_code == 403
    assert status(row) == "dead"


def test_forms_of_other_sites_are_refused() -> None:
    row = dead()
    client = operator(is_superuser=True)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(url("delivery_act"), {"verb": "retry", "ids": row.pk}).status_code == 403
    assert status(row) == "dead"


def test_the_way_back_does_not_lead_to_another_host() -> None:
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "ids": row.pk, "back": "https://evil.example/"}
    assert client.post(url("delivery_act"), data)["Location"] == url("delivery_changelist")
    data = {"verb": "retry", "ids": row.pk, "back": "//evil.example/"}
    assert client.post(url("delivery_act"), data)["Location"] == url("delivery_changelist")


@pytest.mark.parametrize("ids", ["x", "-1", "9" * 30, "\x00", "²"])
def test_strange_numbers_are_no_deliveries(ids: str) -> None:
    client = operator(*VIEW, "retry_delivery")
    answer = client.post(url("delivery_act"), {"verb": "retry", "ids": ids}, follow=True)
    assert answer.status_code == 200
    assert said(answer) == ["0 deliveries are retried."]


# Groups of failures


def group_of(row: Any) -> dict[str, str]:
    return {"subscriber": row.subscriber, "fingerprint": row.fingerprint}


def test_a_canary_is_retried_alone() -> None:
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", **group_of(rows[0])}
    answer = client.post(url("failure_canary"), data, follow=True)
    assert said(answer) == ["1 delivery is retried."]
    assert sorted(status(row) for row in rows) == ["dead", "dead", "pending"]


def test_a_canary_needs_the_permission_of_what_it_does() -> None:
    """The group's example may be in another state than the button thought."""
    row = retrying()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", **group_of(row)}
    assert client.post(url("failure_canary"), data).status_code == 403


def test_a_whole_group_is_retried_after_asking() -> None:
    rows = [dead() for _ in range(3)]
    other = dead(fingerprint="e" * 32)
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", **group_of(rows[0])}
    assert b"3 dead" in client.post(url("failure_act"), data).content
    assert status(rows[0]) == "dead"
    answer = client.post(url("failure_act"), {**data, "confirmed": "yes"}, follow=True)
    assert said(answer) == ["3 deliveries are retried."]
    assert [status(row) for row in rows] == ["pending"] * 3
    assert status(other) == "dead"


def test_a_whole_group_is_discarded_with_a_reason_only() -> None:
    rows = [dead(), retrying()]
    client = operator(*VIEW, "discard_delivery")
    data = {"verb": "discard", "confirmed": "yes", **group_of(rows[0])}
    assert b"Say why" in client.post(url("failure_act"), data).content
    assert [status(row) for row in rows] == ["dead", "pending"]
    client.post(url("failure_act"), {**data, "reason": "obsolete"})
    assert [status(row) for row in rows] == ["discarded", "discarded"]


def test_a_large_group_goes_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.admin.failures.MAX_CHOSEN", 2)
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "confirmed": "yes", **group_of(rows[0])}
    answer = client.post(url("failure_act"), data, follow=True)
    assert b"Running" in answer.content
    Relay(transport=Recorder()).operate()
    assert [status(row) for row in rows] == ["pending"] * 3


def test_a_note_is_kept_shown_changed_and_removed() -> None:
    row = dead()
    client = operator(*VIEW, "change_failurenote")
    for text in ("ask Ada <b>", "solved"):
        client.post(url("failure_note"), {**group_of(row), "text": text})
    assert FailureNote.objects.get().text == "solved"
    assert b"solved" in client.get(url("failure_changelist")).content
    client.post(url("failure_note"), {**group_of(row), "text": " "})
    assert not FailureNote.objects.exists()


def test_a_group_with_nothing_left_is_not_found() -> None:
    client = operator(is_superuser=True)
    for query in ({}, {"subscriber": "x"}, {"subscriber": "\x00", "fingerprint": "f"}):
        assert client.get(url("failure_group"), query).status_code == 404


# Everything that the filter matches


def test_everything_that_the_filter_matches_is_done_by_a_relay_and_shown() -> None:
    rows = [dead() for _ in range(3)]
    other = dead("testapp.mail")
    client = operator(*VIEW, "discard_delivery")
    data = {"verb": "discard", "query": "status=dead&subscriber=testapp.behave"}
    asked = client.post(url("delivery_act_on_all"), data)
    assert b"status=dead, subscriber=testapp.behave" in asked.content
    assert b"Say why" in client.post(url("delivery_act_on_all"), {**data, "confirmed": 1}).content
    assert not BulkOperation.objects.exists()
    client.post(url("delivery_act_on_all"), {**data, "confirmed": 1, "reason": "obsolete"})
    operation = BulkOperation.objects.get()
    page = url("bulkoperation_change", operation.pk)
    assert b"No relay runs" in client.get(page).content
    Relay(transport=Recorder()).drain()
    content = client.get(page).content.decode()
    assert "3 deliveries were discarded." in content
    assert "100 %" in content
    assert status(other) == "dead"
    assert [status(row) for row in rows] == ["discarded"] * 3
    expected = "Discarded: obsolete (status=dead, subscriber=testapp.behave)"
    assert log() == [(str(operation.pk), expected)]


def test_the_list_and_the_operation_mean_the_same() -> None:
    """What was seen is what is acted on."""
    event = event_row(key="order-7")
    dead(event=event)
    dead("testapp.mail", event=event, queue="slow")
    retrying()
    client = operator(*VIEW, "retry_delivery")
    for query in ("status=retrying", "queue=slow", "q=order-7", f"q={event.event_id}", "age=hour"):
        seen = client.get(f"{url('delivery_changelist')}?{query}").context["cl"].result_list
        client.post(url("delivery_act_on_all"), {"verb": "retry", "query": query, "confirmed": 1})
        operation = BulkOperation.objects.latest("pk")
        chosen = Selection.of(operation.selection).among(Delivery.objects.all())
        assert {row.pk for row in chosen} == {row.pk for row in seen}, query


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


# Sending again


def test_an_event_is_sent_to_chosen_subscriptions_again() -> None:
    row = dead(status="succeeded")
    client = operator(*VIEW, "resend_outboxevent")
    page = url("outboxevent_resend", row.event_id)
    assert b"testapp.behave" in client.get(page).content
    assert b"This field is required" in client.post(page, {"reason": "r"}).content
    data = {"subscribers": ["testapp.behave"], "reason": "lost downstream"}
    assert said(client.post(page, data, follow=True)) == ["The event goes to 1 subscription again."]
    assert status(row) == "pending"
    assert log() == [(str(row.event_id), "Resent to testapp.behave: lost downstream")]


def test_only_subscriptions_to_the_type_can_be_chosen() -> None:
    row = dead(status="succeeded")
    client = operator(*VIEW, "resend_outboxevent")
    data = {"subscribers": ["testapp.reserve"], "reason": "r"}
    answer = client.post(url("outboxevent_resend", row.event_id), data)
    assert b"not one of the available choices" in answer.content
    assert Delivery.objects.count() == 1


def test_resending_needs_its_permission_and_an_event() -> None:
    row = dead()
    assert operator(*VIEW).get(url("outboxevent_resend", row.event_id)).status_code == 403
    client = operator(*VIEW, "resend_outboxevent")
    assert client.get(url("outboxevent_resend", 999_999)).status_code == 404
    OutboxEvent.objects.update(relayed_at=None)
    data = {"subscribers": ["testapp.behave"]}
    answer = client.post(url("outboxevent_resend", row.event_id), data, follow=True)
    assert said(answer) == ["The event is gone, or was not fanned out yet."]


EDITING = {"SOURCE": "tests", "EDIT_AND_RESEND": True, "REDACT": ["behave"]}


def test_editing_is_off_unless_the_site_wants_it() -> None:
    row = dead()
    client = operator(is_superuser=True)
    assert client.get(url("outboxevent_edit", row.event_id)).status_code == 404
    assert b"/edit/" not in client.get(url("outboxevent_change", row.event_id)).content


@override_settings(EDA_DJANGO=EDITING)
def test_an_edited_copy_names_its_original_and_keeps_what_is_masked() -> None:
    row = event_row("wrong", key="order-7")
    OutboxEvent.objects.filter(pk=row.pk).update(data={"text": "wrong", "behave": "secret"})
    client = operator(*VIEW, "edit_outboxevent")
    page = url("outboxevent_edit", row.pk)
    content = client.get(page).content
    assert b"***" in content
    assert b"secret" not in content
    payload = json.dumps({"text": "right", "behave": "***"})
    client.post(page, {"payload": payload, "reason": "typing error"})
    copy = OutboxEvent.objects.exclude(pk=row.pk).get()
    assert copy.data == {"text": "right", "behave": "secret"}
    assert (copy.key, copy.causation_id) == ("order-7", row.event_id)
    assert copy.correlation_id == row.correlation_id
    assert copy.headers["eda_django_copy_of"] == str(row.event_id)
    assert str(row.event_id).encode() in client.get(url("outboxevent_change", copy.pk)).content
    row.refresh_from_db()
    assert row.data["text"] == "wrong"
    assert len(log()) == 2


@override_settings(EDA_DJANGO=EDITING)
@pytest.mark.parametrize("payload", ["", "{", "[]", "7", '{"text": 7}', '{"text": "\\u0000"}'])
def test_a_payload_that_does_not_fit_is_told_and_published_nowhere(payload: str) -> None:
    row = event_row()
    client = operator(*VIEW, "edit_outboxevent")
    answer = client.post(url("outboxevent_edit", row.pk), {"payload": payload, "reason": "r"})
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert OutboxEvent.objects.count() == 1


@override_settings(EDA_DJANGO=EDITING)
def test_editing_needs_its_permission() -> None:
    row = event_row()
    client = operator(*VIEW, "resend_outboxevent")
    assert client.get(url("outboxevent_edit", row.pk)).status_code == 403
    assert b"/edit/" not in client.get(url("outboxevent_change", row.pk)).content
