"""What operators do to one delivery, or to a selection: after asking, logged, and told exactly."""

import pytest
from django.utils import timezone

from tests.admin.acting import VERBS, log, post, status
from tests.console import VIEW, dead, operator, retrying, said, url

pytestmark = pytest.mark.django_db


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
        "2 deliveries are retried. 1 was passed over: it is not in a state for that, or in a "
        "worker's hands."
    ]
    assert len(log()) == 2


# A selection


def test_the_console_asks_before_it_acts_on_more_than_one() -> None:
    rows = [dead(), dead()]
    client = operator(*VIEW, "retry_delivery")
    asked = post(client, "retry", *rows)
    assert b"This is about 2 deliveries. Dead: 2." in asked.content
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
