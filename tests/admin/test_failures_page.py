"""Failures, grouped by subscriber and cause."""

from datetime import timedelta

import pytest
from django.utils import timezone

from eda_django.models import Attempt, statistics
from eda_django.models.groups import groups
from tests.console import TRACE, VIEW, dead, operator, retrying, text, url

pytestmark = pytest.mark.django_db


def test_failures_are_grouped_by_subscriber_and_cause() -> None:
    for _ in range(3):
        dead()
    retrying()
    dead("testapp.mail")
    dead(fingerprint="e" * 32)
    dead(status="succeeded")
    dead(status="discarded")
    page = operator(*VIEW).get(url("failure_changelist"))
    found = [
        (g["group"].subscriber, g["group"].fingerprint[0], g["group"].dead, g["group"].retrying)
        for g in page.context["groups"]
    ]
    assert found == [
        ("testapp.behave", "f", 3, 1),
        ("testapp.behave", "e", 1, 0),
        ("testapp.mail", "f", 1, 0),
    ]
    assert page.context["groups"][0]["frame"] == "billing/services.py: vat"
    assert page.context["groups"][0]["since"] != ""


def test_a_group_begins_with_the_round_and_the_cause_that_fail_now() -> None:
    """Neither with what a retry had put right since, nor with another error before."""
    now = timezone.now()
    row = dead()
    Attempt.objects.all().delete()
    told = [(1, "ValueError"), (2, "ValueError"), (1, "KeyError"), (2, "ValueError")]
    for hours, (number, kind) in zip((9, 8, 5, 3), told, strict=True):
        at = now - timedelta(hours=hours)
        Attempt.objects.create(delivery=row, number=number, finished_at=at, error_class=kind)
    (group,) = groups("default")
    assert group.since is not None
    assert abs(group.since - now + timedelta(hours=3)) < timedelta(seconds=1)
    Attempt.objects.filter(error_class="KeyError").update(error_class="ValueError")
    (group,) = groups("default")
    assert group.since is not None
    assert abs(group.since - now + timedelta(hours=5)) < timedelta(seconds=1)


def test_a_group_shows_a_traceback_to_whoever_may_see_attempts() -> None:
    row = dead()
    page = f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}"
    assert TRACE.splitlines()[1].strip().replace('"', "&quot;") in text(operator(*VIEW), page)
    assert "services.py&quot;" not in text(operator("view_delivery"), page)


def test_what_was_not_counted_to_its_end_is_told_as_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where no group alone has that many."""
    for name in ("testapp.behave", "testapp.mail"):
        for _ in range(2):
            dead(name)
    row = retrying()
    group = f"subscriber={row.subscriber}&fingerprint={row.fingerprint}"
    client = operator(*VIEW, "retry_delivery")
    assert "or more" not in text(client, url("failure_changelist"))
    monkeypatch.setattr(statistics, "MOST", 4)
    page = text(client, url("failure_changelist"))
    assert page.count(">2 or more dead<") == 2
    assert ">1 retrying<" in page
    assert "only a part of it was looked at" in page
    # Of one group there are fewer, and all are counted.
    assert ">2 dead<" in text(client, f"{url('failure_group')}?{group}")
    monkeypatch.setattr(statistics, "MOST", 2)
    assert ">2 or more dead<" in text(client, f"{url('failure_group')}?{group}")
    data = {"verb": "retry", "subscriber": row.subscriber, "fingerprint": row.fingerprint}
    assert b"2 or more dead, 1 retrying" in client.post(url("failure_act"), data).content


def test_nothing_fails() -> None:
    assert "Nothing fails." in text(operator(*VIEW), url("failure_changelist"))


def test_where_the_bound_of_causes_is_reached_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for letter in "abc":
        dead(fingerprint=letter * 32)
    client = operator(*VIEW)
    assert "No more than" not in text(client, url("failure_changelist"))
    for module in ("eda_django.models.groups", "eda_django.admin.failures"):
        monkeypatch.setattr(f"{module}.MAX_GROUPS", 2)
    page = text(client, url("failure_changelist"))
    assert "No more than 2 causes are shown" in page
