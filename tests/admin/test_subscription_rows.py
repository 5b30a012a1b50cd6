"""The overview's rows: each subscription, what waits for it, and how it went of late."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from eda_django import subscribes
from eda_django.dispatch.queues import QueueState
from eda_django.models import OutboxEvent
from eda_django.registry import registry
from tests.console import VIEW, beat, dead, event_row, operator, retrying, sentence, url

pytestmark = pytest.mark.django_db


def test_a_subscription_whose_queue_has_no_worker_is_marked(quiet: list[QueueState]) -> None:
    quiet[:] = [QueueState(name="slow", depth=1, workers=0)]
    answer = operator(*VIEW).get(url("overview_changelist"))
    rows = {row.name: row for row in answer.context["rows"]}
    marked = {row.queue for row in rows.values() if row.is_bad}
    assert marked == {"slow"}
    assert '<span class="quiet">slow</span>' in answer.content.decode()


@pytest.mark.usefixtures("quiet")
def test_a_subscription_tells_how_old_its_oldest_event_is() -> None:
    now = timezone.now()
    claim: dict[str, Any] = {"lease_until": now, "token": uuid4(), "finished_at": None}
    fresh: dict[str, Any] = {"due_at": now, "attempts": 0, "finished_at": None}
    waiting: dict[str, dict[str, Any]] = {"pending": fresh, "queued": claim, "running": claim}
    # What is dead waits for nothing; and what ended has ended.
    ages = {"dead": 9, "succeeded": 8, "queued": 7, "pending": 6, "running": 5}
    for status, hours in ages.items():
        event = dead(status=status, **waiting.get(status, {})).event
        OutboxEvent.objects.filter(pk=event.pk).update(time=now - timedelta(hours=hours))
    dead("testapp.mail")
    page = operator(*VIEW).get(url("overview_changelist"))
    rows = {row.name: row.oldest_since for row in page.context["rows"]}
    assert (rows["testapp.behave"], rows["testapp.mail"]) == ("7 h", "")
    assert page.context["oldest_since"] == "7 h"


@pytest.mark.usefixtures("quiet")
def test_an_old_event_that_was_sent_again_is_not_said_to_have_waited() -> None:
    """It is old, and was delivered meanwhile; when it was sent again no row tells."""
    beat()
    due: dict[str, Any] = {"due_at": timezone.now(), "finished_at": None}
    event = dead(status="pending", attempts=0, **due).event
    OutboxEvent.objects.filter(pk=event.pk).update(time=timezone.now() - timedelta(days=20))
    assert OutboxEvent.objects.take_to_resend(event.pk, event.relayed_at)
    assert sentence() == ("odd", "The oldest undelivered event is 20 days old.", ())


@pytest.mark.usefixtures("quiet")
def test_each_subscription_has_a_row_with_its_figures() -> None:
    beat()
    now = timezone.now()
    for n in range(10):
        event = event_row()
        OutboxEvent.objects.filter(pk=event.pk).update(time=now - timedelta(seconds=10))
        ended: dict[str, Any] = {"started_at": now - timedelta(seconds=5), "finished_at": now}
        dead(event=event, status="dead" if n == 0 else "succeeded", **ended)
    retrying()
    rows = {
        row.name: row for row in operator(*VIEW).get(url("overview_changelist")).context["rows"]
    }
    row = rows["testapp.behave"]
    assert row.counts == {"dead": 1, "retrying": 1}
    assert (row.rate, row.wait, row.run) == ("90 %", ("5 s", "5 s"), ("5 s", "5 s"))
    assert abs(row.last_success - now) < timedelta(seconds=1)
    # What never received anything is there as well.
    assert rows["testapp.bill"].last_success is None
    assert set(registry.names()) <= set(rows)


@pytest.mark.usefixtures("quiet")
def test_what_an_operator_dropped_lowers_no_success_rate() -> None:
    for status in ("succeeded", "discarded", "discarded"):
        dead(status=status)
    dead("testapp.mail", status="discarded")
    page = operator(*VIEW).get(url("overview_changelist"))
    rates = {row.name: row.rate for row in page.context["rows"]}
    assert (rates["testapp.behave"], rates["testapp.mail"]) == ("100 %", "")


@pytest.mark.usefixtures("quiet")
def test_a_delivery_is_counted_in_the_column_of_its_state() -> None:
    """What has failed is retrying, and not once more pending."""
    retrying()
    now = timezone.now()
    claim: dict[str, Any] = {"lease_until": now, "token": uuid4()}
    fresh: dict[str, Any] = {"due_at": now, "attempts": 0}
    states = {"dead": {}, "pending": fresh, "queued": claim, "running": claim}
    for number, (status, values) in enumerate(states.items(), start=2):
        for _ in range(number):
            dead(status=status, **values)
    page = operator(*VIEW).get(url("overview_changelist"))
    (row,) = [row for row in page.context["rows"] if row.name == "testapp.behave"]
    assert [text for _, _, text in row.cells] == ["2", "1", "3", "4", "5"]
    heads = re.findall(r'<th scope="col">(\w+)</th>', page.content.decode())
    assert heads[1:6] == ["Dead", "Retrying", "Pending", "Queued", "Running"]


def test_subscriptions_of_newer_or_older_code_are_shown_too() -> None:
    dead("gone.by", status="succeeded")

    @subscribes("t.new", name="t.new")
    def new(event: Any) -> None: ...

    page = operator(*VIEW).get(url("overview_changelist"))
    rows = {row.name: row.is_known for row in page.context["rows"]}
    assert (rows["gone.by"], rows["t.new"]) == (False, True)
