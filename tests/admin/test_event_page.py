"""An event's page, its tree, and how it is found."""

from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.utils import timezone

from eda_django.models import Attempt, OutboxEvent
from tests.admin.acting import post, resending
from tests.console import VIEW, dead, event_row, operator, retrying, text, url

pytestmark = pytest.mark.django_db


def test_an_event_tells_its_story_in_order() -> None:
    row = dead()
    retrying(subscriber="testapp.mail", event=row.event)
    page = operator(*VIEW).get(url("outboxevent_change", row.event_id))
    words = [entry.text for entry in page.context["timeline"]]
    assert words[0] == "Published by tests"
    assert "Fanned out to 2 subscriptions" in words
    assert words[-1] == "testapp.mail: due then"
    assert "testapp.behave: attempt 3 failed" in words
    assert "testapp.behave: dead, out of attempts" in words
    assert "services.py" in page.content.decode()


def test_one_subscription_is_not_several() -> None:
    row = dead()
    page = operator(*VIEW).get(url("outboxevent_change", row.event_id))
    words = [entry.text for entry in page.context["timeline"]]
    assert words[1] == "Fanned out to 1 subscription"


@pytest.mark.parametrize("logged", [True, False])
def test_what_was_sent_again_is_not_called_fanned_out_then(logged: bool) -> None:
    """To send it again sets `relayed_at`, and with it the retention, anew."""
    row = dead()
    client = operator(*VIEW, "resend_outboxevent")
    data = resending(client, row.event_id, "testapp.behave")
    client.post(url("outboxevent_resend", row.event_id), data)
    # The attempts of before tell it as well as the log.
    LogEntry.objects.all().delete() if not logged else Attempt.objects.all().delete()
    page = client.get(url("outboxevent_change", row.event_id))
    words = [entry.text for entry in page.context["timeline"]]
    assert not any("Fanned out" in one for one in words)
    assert sum("Sent again" in one for one in words) == 1


def test_what_operators_did_stands_in_the_story() -> None:
    """Of the event and of its deliveries, and of no other."""
    row, other = dead(), dead()
    ada = operator(*VIEW, "discard_delivery", "resend_outboxevent")
    for one in (row, other):
        post(ada, "discard", one, confirmed="yes", reason="sent by hand")
    data = resending(ada, row.event_id, "testapp.behave", reason="lost")
    row.refresh_from_db()
    ended = f"{row.finished_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    ada.post(url("outboxevent_resend", row.event_id), data)
    page = ada.get(url("outboxevent_change", row.event_id))
    name = page.context["user"].get_username()
    acted = [(e.text, e.detail) for e in page.context["timeline"] if e.text.startswith(name)]
    assert acted == [
        (f"{name}: Discarded: sent by hand", str(row)),
        (f"{name}: Resent to testapp.behave (discarded {ended} UTC): lost", ""),
    ]
    with override_settings(LANGUAGE_CODE="de"):
        assert "Verworfen: sent by hand" in text(ada, url("outboxevent_change", row.event_id))


def test_a_publisher_whose_clock_is_ahead_hides_no_entries() -> None:
    row = dead()
    type(row.event).objects.update(time=timezone.now() + timedelta(days=1))
    ada = operator(*VIEW, "discard_delivery")
    post(ada, "discard", row, confirmed="yes", reason="sent by hand")
    assert "Discarded: sent by hand" in text(ada, url("outboxevent_change", row.event_id))


def test_an_event_stands_in_the_tree_of_its_cause_and_effects() -> None:
    root = event_row("root")
    family: dict[str, Any] = {"root": root}
    for name, cause in (("child", "root"), ("grandchild", "child"), ("other", "root")):
        row = event_row(name, correlation_id=root.correlation_id)
        OutboxEvent.objects.filter(pk=row.pk).update(causation_id=family[cause].event_id)
        family[name] = row
    event_row("stranger")
    page = operator(*VIEW).get(url("outboxevent_change", family["child"].pk))
    (node,) = page.context["family"].roots
    assert node.event.pk == root.pk
    assert [child.event.pk for child in node.children] == [
        family["child"].pk,
        family["other"].pk,
    ]
    assert [n.event.pk for n in node.children[0].children] == [family["grandchild"].pk]


def test_a_tree_of_thousands_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.models.family.NEAREST", 3)
    rows = [event_row(str(n), correlation_id="c") for n in range(12)]
    page = operator(*VIEW).get(url("outboxevent_change", rows[6].pk))
    family = page.context["family"]
    assert family.is_cut
    assert [row.pk for row in family.events] == [row.pk for row in rows[3:9]]


def test_a_long_chain_of_causes_is_shown_without_end_of_depth() -> None:
    rows = [event_row(str(n), correlation_id="c") for n in range(60)]
    for cause, row in zip(rows, rows[1:], strict=False):
        OutboxEvent.objects.filter(pk=row.pk).update(causation_id=cause.event_id)
    assert operator(*VIEW).get(url("outboxevent_change", rows[0].pk)).status_code == 200


@pytest.mark.parametrize("by", ["key", "idempotency_key", "correlation_id", "event_id"])
def test_an_event_is_found_by_what_an_operator_has_in_hand(by: str) -> None:
    event_row("other", key="x", idempotency_key="y", correlation_id="z")
    row = event_row("this", key="order-7", idempotency_key="once-7", correlation_id="chain-7")
    found = operator(*VIEW).get(url("outboxevent_changelist"), {"q": str(getattr(row, by))})
    assert [event.pk for event in found.context["cl"].result_list] == [row.pk]


def test_the_list_shows_deliveries_done_of_all_and_the_worst_state() -> None:
    row = dead()
    dead("testapp.mail", event=row.event, status="succeeded")
    words = text(operator(*VIEW), url("outboxevent_changelist"))
    assert "1 / 2" in words
    assert "eda-bad" in words


def test_what_is_queued_stands_in_the_story() -> None:
    row = dead(
        status="queued",
        attempts=0,
        queue="slow",
        started_at=None,
        finished_at=None,
        lease_until=timezone.now(),
        token=uuid4(),
    )
    page = operator(*VIEW).get(url("outboxevent_change", row.event_id))
    last = page.context["timeline"][-1].text
    assert last == "testapp.behave: queued, waits for a worker of slow"
