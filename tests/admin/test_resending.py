"""Sending an event again: to chosen subscriptions, or as an edited copy."""

import json
import re
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone

from eda_django import subscribes
from eda_django.models import Delivery, OutboxEvent
from tests.admin.acting import log, resending, status
from tests.console import VIEW, dead, event_row, operator, said, text, url
from tests.relaying import in_threads
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


def test_an_event_is_sent_to_chosen_subscriptions_again() -> None:
    row = dead(status="succeeded")
    client = operator(*VIEW, "resend_outboxevent")
    page = url("outboxevent_resend", row.event_id)
    assert b"testapp.behave" in client.get(page).content
    assert b"This field is required" in client.post(page, {"reason": "r"}).content
    data = resending(client, row.event_id, "testapp.behave", reason="lost downstream")
    told = f"Resent to testapp.behave (succeeded {ended(row)} UTC): lost downstream"
    assert said(client.post(page, data, follow=True)) == ["The event goes to 1 subscription again."]
    assert status(row) == "pending"
    assert log() == [(str(row.event_id), told), (str(row.pk), told)]


def ended(row: Any) -> str:
    return f"{row.finished_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def test_what_was_lost_to_a_resend_stands_in_the_log_of_each_delivery() -> None:
    """Nothing else keeps that a charge had succeeded, and when."""

    @subscribes(Noted, name="t.also")
    def also(event: Any) -> None: ...

    row = dead(status="succeeded")
    client = operator(*VIEW, "resend_outboxevent")
    data = resending(client, row.event_id, "testapp.behave", "t.also", confirmed="yes")
    client.post(url("outboxevent_resend", row.event_id), data)
    new = Delivery.objects.get(subscriber="t.also")
    before = f"testapp.behave (succeeded {ended(row)} UTC)"
    assert sorted(log()) == sorted(
        [
            (str(row.event_id), f"Resent to {before}, t.also"),
            (str(row.pk), f"Resent to {before}"),
            (str(new.pk), "Resent to t.also"),
        ]
    )
    page = client.get(url("outboxevent_change", row.event_id))
    words = [one.text for one in page.context["timeline"] if "Resent" in one.text]
    assert len(words) == 1
    assert before in words[0]


def test_to_send_to_several_is_asked_for_once_more_and_needs_no_reason() -> None:
    @subscribes(Noted, name="t.also")
    def also(event: Any) -> None: ...

    row = dead(status="succeeded", event=event_row(key="order-7"))
    client = operator(*VIEW, "resend_outboxevent")
    page = url("outboxevent_resend", row.event_id)
    data = resending(client, row.event_id, "testapp.behave", "t.also", reason="lost")
    asked = client.post(page, data).content.decode()
    assert "This sends the event to 2 subscriptions again:" in asked
    for words in ("testapp.<wbr>behave", "t.<wbr>also", 'value="t.also"', "lost", data["seen"]):
        assert words in asked
    assert Delivery.objects.get().status == "succeeded"
    answer = client.post(page, {**data, "reason": "", "confirmed": "yes"}, follow=True)
    assert said(answer) == ["The event goes to 2 subscriptions again."]
    found = Delivery.objects.values_list("subscriber", "status", "key")
    assert set(found) == {
        ("testapp.behave", "pending", "order-7"),
        ("t.also", "pending", "order-7"),
    }


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
    data = resending(client, row.event_id, "testapp.behave")
    OutboxEvent.objects.update(relayed_at=None)
    for posted in (data, {**data, "seen": ""}):
        answer = client.post(url("outboxevent_resend", row.event_id), posted, follow=True)
        assert said(answer) == ["The event was not fanned out yet."]


MEANWHILE = "The event was sent again since you opened the form, or is gone. Nothing was sent now."


@pytest.mark.parametrize("microseconds", [0, 1, 999_999])
def test_an_event_whose_button_is_pressed_twice_is_sent_once(microseconds: int) -> None:
    """Also if all was over in between, and by another operator."""
    row = dead(status="succeeded")
    at = timezone.now().replace(microsecond=microseconds) - timedelta(minutes=1)
    OutboxEvent.objects.update(relayed_at=at)
    first, second = (operator(*VIEW, "resend_outboxevent") for _ in range(2))
    page = url("outboxevent_resend", row.event_id)
    data = resending(first, row.event_id, "testapp.behave")
    answer = first.post(page, data, follow=True)
    assert said(answer) == ["The event goes to 1 subscription again."]
    succeeded = {"status": "succeeded", "finished_at": timezone.now(), "due_at": None}
    Delivery.objects.update(**succeeded)
    for client in (first, second):
        assert said(client.post(page, data, follow=True)) == [MEANWHILE]
    assert status(row) == "succeeded"
    assert len(log()) == 2
    # The next form is another one.
    again = resending(second, row.event_id, "testapp.behave")
    second.post(page, again)
    assert status(row) == "pending"


def test_a_form_that_does_not_say_which_event_it_saw_sends_nothing() -> None:
    @subscribes(Noted, name="t.also")
    def also(event: Any) -> None: ...

    row = dead(status="succeeded")
    client = operator(*VIEW, "resend_outboxevent")
    data = resending(client, row.event_id, "testapp.behave", "t.also")
    seen = data.pop("seen")
    for posted in ({}, {"seen": ""}, {"seen": "x"}, {"seen": seen.replace("20", "21", 1)}):
        for confirmed in ({}, {"confirmed": "yes"}):
            values = {**data, **posted, **confirmed}
            answer = client.post(url("outboxevent_resend", row.event_id), values, follow=True)
            assert said(answer) == [MEANWHILE]
    assert Delivery.objects.get().status == "succeeded"
    assert log() == []


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
    assert b"***/behave" in content
    assert b"secret" not in content
    payload = json.dumps({"text": "right", "behave": "***/behave"})
    client.post(page, {"payload": payload, "reason": "typing error", "once": uuid4()})
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
    data = {"payload": payload, "reason": "r", "once": uuid4()}
    answer = client.post(url("outboxevent_edit", row.pk), data)
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert OutboxEvent.objects.count() == 1


@override_settings(EDA_DJANGO=EDITING)
@pytest.mark.parametrize("depth", [31, 200, 400, 800, 990, 3_000, 100_000])
def test_a_payload_that_is_nested_too_deep_is_told_and_published_nowhere(depth: int) -> None:
    """However deep that is for what reads, masks and checks it."""
    row = event_row()
    client = operator(*VIEW, "edit_outboxevent")
    for start, end in (('{"a":', "}"), ('{"behave":', "}"), ("[", "]")):
        payload = f'{{"text": {start * depth}1{end * depth}}}'
        data = {"payload": payload, "reason": "r", "once": uuid4()}
        answer = client.post(url("outboxevent_edit", row.pk), data)
        assert answer.status_code == 200
        assert answer.context["form"].errors["payload"]
    assert OutboxEvent.objects.count() == 1


@override_settings(EDA_DJANGO=EDITING)
def test_a_copy_whose_button_is_pressed_twice_is_published_once() -> None:
    row = event_row()
    client = operator(*VIEW, "edit_outboxevent")
    page = url("outboxevent_edit", row.pk)
    (once,) = re.findall('name="once" value="([^"]+)"', client.get(page).content.decode())
    data = {"payload": '{"text": "x", "behave": ""}', "reason": "r", "once": once}
    first, second = (client.post(page, data, follow=True) for _ in range(2))
    copy = OutboxEvent.objects.exclude(pk=row.pk).get()
    assert said(first) == [f"Published as a new event, {copy.event_id}, from this one."]
    assert said(second) == [
        f"The form was sent before, and published {copy.event_id} then. Nothing was published now."
    ]
    assert second.redirect_chain == [(url("outboxevent_change", copy.pk), 302)]
    assert len(log()) == 2
    # The next form is another one.
    assert once.encode() not in client.get(page).content


@override_settings(EDA_DJANGO=EDITING)
@pytest.mark.django_db(transaction=True)
def test_a_button_that_is_pressed_twice_at_once_publishes_and_logs_once() -> None:
    with transaction.atomic():
        row = event_row()
    client = operator(*VIEW, "edit_outboxevent")
    data = {"payload": '{"text": "x", "behave": ""}', "reason": "r", "once": uuid4()}
    page = url("outboxevent_edit", row.pk)

    def press() -> str:
        own = Client()
        own.cookies = client.cookies
        return str(own.post(page, data)["Location"])

    copies = in_threads(*[press] * 4)
    copy = OutboxEvent.objects.exclude(pk=row.pk).get()
    assert set(copies) == {url("outboxevent_change", copy.pk)}
    assert len(log()) == 2


@override_settings(EDA_DJANGO=EDITING)
def test_a_form_without_its_number_publishes_nothing() -> None:
    row = event_row()
    client = operator(*VIEW, "edit_outboxevent")
    data = {"payload": '{"text": "x", "behave": ""}', "reason": "r"}
    assert b"errorlist" in client.post(url("outboxevent_edit", row.pk), data).content
    assert OutboxEvent.objects.count() == 1


@override_settings(EDA_DJANGO=EDITING)
def test_who_gets_an_edited_copy_is_said_before() -> None:
    row = event_row()
    page = text(operator(*VIEW, "edit_outboxevent"), url("outboxevent_edit", row.pk))
    assert "It goes to: <code>" in page
    assert "<code>testapp.<wbr>behave</code>" in page


@override_settings(EDA_DJANGO=EDITING)
def test_editing_needs_its_permission() -> None:
    row = event_row()
    client = operator(*VIEW, "resend_outboxevent")
    assert client.get(url("outboxevent_edit", row.pk)).status_code == 403
    assert b"/edit/" not in client.get(url("outboxevent_change", row.pk)).content
