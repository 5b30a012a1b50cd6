"""What operators do to a whole group of failures, and what they note on it."""

from typing import Any

import pytest

from eda_django.models import FailureNote
from eda_django.relay import Relay
from tests.admin.acting import status
from tests.console import VIEW, dead, operator, retrying, said, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


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
