"""What operators do to a whole group of failures, and what they note on it."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.http import urlencode

from eda_django.models import FailureNote
from eda_django.relay import Relay
from tests.admin.acting import log, status
from tests.console import VIEW, dead, operator, retrying, said, text, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


def group_of(row: Any) -> dict[str, str]:
    return {"subscriber": row.subscriber, "fingerprint": row.fingerprint}


def canary_on(client: Any, row: Any) -> dict[str, str]:
    """Return what the group's page posts for one to go first."""
    page = client.get(url("failure_group"), group_of(row)).content.decode()
    (form,) = re.findall(r'action="[^"]+canary/">(.*?)</form>', page, re.DOTALL)
    assert "Retry one first" in form
    return {
        name: value
        for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)
        if name != "csrfmiddlewaretoken"
    }


def test_a_canary_is_retried_alone() -> None:
    rows = [dead() for _ in range(3)]
    client = operator(*VIEW, "retry_delivery")
    data = canary_on(client, rows[0])
    assert data["pk"] == str(rows[2].pk)
    # Another has failed since the page was shown.
    newer = dead()
    answer = client.post(url("failure_canary"), data, follow=True)
    assert said(answer) == ["1 delivery is retried."]
    assert [status(row) for row in (*rows, newer)] == ["dead", "dead", "pending", "dead"]


def test_a_canary_whose_state_has_changed_is_left_alone() -> None:
    """A colleague was quicker: its wait is not ended by whoever may retry dead ones only."""
    row = retrying()
    due = row.due_at
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "pk": row.pk, **group_of(row)}
    answer = client.post(url("failure_canary"), data, follow=True)
    assert said(answer)[0].startswith("0 deliveries are retried. 1 was passed over: it is not in")
    row.refresh_from_db()
    assert (row.status, row.due_at) == ("pending", due)


def test_a_canary_is_one_of_the_group_that_fails_still() -> None:
    row, other, over = dead(), dead(fingerprint="e" * 32), dead(status="succeeded")
    client = operator(*VIEW, "retry_delivery")
    for one in (other, over):
        data = {"verb": "retry", "pk": one.pk, **group_of(row)}
        answer = client.post(url("failure_canary"), data, follow=True)
        told = f"Delivery {one.pk} does not fail any more: nothing was done."
        assert said(answer) == [told]
        assert answer.status_code == 200
    assert status(other) == "dead"
    for pk in ("", "x", "\x00"):
        data = {"verb": "retry", "pk": pk, **group_of(row)}
        assert client.post(url("failure_canary"), data).status_code == 404


@pytest.mark.parametrize("at_once", [1, 100])
def test_failures_without_a_fingerprint_are_a_group_and_not_all_there_are(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Also where a bulk operation would be begun: its filter has no word for none."""
    monkeypatch.setattr("eda_django.admin.failures.MAX_AT_ONCE", at_once)
    row = dead(fingerprint="")
    others = [dead(), retrying(), retrying(attempts=0)]
    second = dead(fingerprint="")
    data = {"verb": "discard", "reason": "obsolete", "confirmed": 1, **group_of(row)}
    operator(*VIEW, "discard_delivery").post(url("failure_act"), data)
    Relay(transport=Recorder()).drain()
    assert [status(one) for one in others] == ["dead", "pending", "pending"]
    done = [status(one) for one in (row, second)]
    assert done == (["discarded", "dead"] if at_once == 1 else ["discarded", "discarded"])


def test_a_dead_one_is_the_example_if_there_is_one() -> None:
    """Who may only retry dead ones has a canary, too."""
    row = dead()
    retrying()
    client = operator(*VIEW, "retry_delivery")
    assert canary_on(client, row)["pk"] == str(row.pk)


def test_numbers_in_forms_are_for_programs(settings: Any) -> None:
    """However a site writes them for people."""
    settings.USE_THOUSAND_SEPARATOR = True
    row = dead(pk=1_234_567)
    assert canary_on(operator(*VIEW, "retry_delivery"), row)["pk"] == "1234567"
    client = operator(*VIEW, "discard_delivery")
    page = client.get(url("delivery_change", row.pk)).content.decode()
    assert 'name="ids" value="1234567"' in page
    asked = {"verb": "discard", "ids": ["1234567"]}
    page = client.post(url("delivery_act"), asked).content.decode()
    assert 'name="ids" value="1234567"' in page


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


def test_a_delivery_and_the_question_lead_back_to_the_group() -> None:
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    page = f"{url('failure_group')}?{urlencode(group_of(row))}".replace("&", "&amp;")
    link = f'<a href="{page}">Others with this cause</a>'
    assert link in text(client, url("delivery_change", row.pk))
    without = dead(fingerprint="")
    assert "Others with this cause" not in text(client, url("delivery_change", without.pk))
    asked = client.post(url("failure_act"), {**group_of(row), "verb": "retry"})
    assert f'cancel-link" href="{page}"' in asked.content.decode()


def test_a_whole_group_is_discarded_with_a_reason_only() -> None:
    rows = [dead(), retrying()]
    client = operator(*VIEW, "discard_delivery")
    data = {"verb": "discard", "confirmed": "yes", **group_of(rows[0])}
    assert b"Say why" in client.post(url("failure_act"), data).content
    assert [status(row) for row in rows] == ["dead", "pending"]
    client.post(url("failure_act"), {**data, "reason": "obsolete"})
    assert [status(row) for row in rows] == ["discarded", "discarded"]


def test_a_large_group_goes_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.admin.failures.MAX_AT_ONCE", 2)
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
    for note in ("ask Ada <b>", "solved"):
        client.post(url("failure_note"), {**group_of(row), "text": note})
    assert FailureNote.objects.get().text == "solved"
    assert b"solved" in client.get(url("failure_changelist")).content
    client.post(url("failure_note"), {**group_of(row), "text": " "})
    assert not FailureNote.objects.exists()
    said_of_it = [message for _, message in log()]
    assert said_of_it == ["Noted: ask Ada <b>", "Noted: solved", "Note removed: solved"]


def test_a_group_tells_what_was_noted_on_it_and_by_whom() -> None:
    """Also what was changed or removed, and nothing of another group."""
    row = dead()
    other = dead("testapp.mail")
    ada = operator(*VIEW, "change_failurenote")
    bob = operator(*VIEW, "change_failurenote")
    ada.post(url("failure_note"), {**group_of(row), "text": "ask Ada <b>"})
    ada.post(url("failure_note"), {**group_of(other), "text": "another"})
    bob.post(url("failure_note"), {**group_of(row), "text": ""})
    page = ada.get(url("failure_group"), group_of(row))
    names = User.objects.order_by("pk").values_list("username", flat=True)
    assert [(user, words) for _, user, words in page.context["noted"]] == [
        (names[1], "Note removed: ask Ada <b>"),
        (names[0], "Noted: ask Ada <b>"),
    ]
    assert "Note removed: ask Ada &lt;b&gt;" in page.content.decode()


def test_a_group_with_nothing_left_leads_to_what_fails_still() -> None:
    """A colleague or a retry may be quicker than a click."""
    row = dead(status="succeeded")
    client = operator(is_superuser=True)
    wanted = {"verb": "retry", "confirmed": "yes", **group_of(row)}
    for answer in (
        client.get(url("failure_group"), group_of(row), follow=True),
        client.post(url("failure_act"), wanted, follow=True),
    ):
        assert answer.redirect_chain == [(url("failure_changelist"), 302)]
        assert said(answer) == ["Nothing of this group fails any more."]


def test_a_note_is_kept_also_on_a_group_with_nothing_left() -> None:
    """Its writer must not lose it, and the next one who sees the group reads it."""
    row = dead(status="succeeded")
    client = operator(is_superuser=True)
    data = {**group_of(row), "text": "ring the gateway"}
    answer = client.post(url("failure_note"), data, follow=True)
    assert answer.status_code == 200
    assert said(answer) == ["The note is kept.", "Nothing of this group fails any more."]
    dead()
    assert "ring the gateway" in text(client, url("failure_changelist"))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"subscriber": "\x00", "fingerprint": "f"},
        {"subscriber": "x", "fingerprint": "f\x00"},
        {"subscriber": "x" * 300, "fingerprint": "f"},
        {"subscriber": "x", "fingerprint": "f" * 33},
    ],
)
def test_what_can_be_no_group_is_not_found(query: dict[str, str]) -> None:
    client = operator(is_superuser=True)
    assert client.get(url("failure_group"), query).status_code == 404
    assert client.post(url("failure_note"), {**query, "text": "x"}).status_code == 404
    assert not FailureNote.objects.exists()
