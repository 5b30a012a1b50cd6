"""What the console's pages cost, and that none shows what is redacted."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from eda_django.models import Delivery, FailureNote, OutboxEvent, statistics
from eda_django.models.groups import groups
from eda_django.models.windows import SLACK
from eda_django.payloads import redacted_values
from tests.console import dead, event_row, operator, retrying, text, url

pytestmark = pytest.mark.django_db


def fill(count: int) -> None:
    for _ in range(count):
        row = dead()
        retrying(event=row.event, subscriber="testapp.mail", fingerprint=uuid4().hex)
        dead(status="succeeded")
        FailureNote.objects.create(subscriber=row.subscriber, fingerprint=uuid4().hex, text="x")


def newest(model: Any) -> Any:
    return model.objects.order_by("-pk")[0].pk


PAGES: list[Callable[[], str]] = [
    lambda: "/admin/eda_django/",
    lambda: url("overview_changelist"),
    lambda: url("failure_changelist"),
    lambda: f"{url('failure_group')}?subscriber=testapp.behave&fingerprint={'f' * 32}",
    lambda: url("catalogueentry_changelist"),
    lambda: url("bulkoperation_changelist"),
    lambda: url("outboxevent_change", newest(OutboxEvent)),
    lambda: url("delivery_change", newest(Delivery)),
    lambda: f"{url('outboxevent_changelist')}?period=day&state=dead&source=tests",
    lambda: f"{url('delivery_changelist')}?status=dead&subscriber=testapp.behave&queue=default",
    lambda: f"{url('delivery_changelist')}?age=minute",
    lambda: f"{url('delivery_changelist')}?error_class=aside",
]


def statements(client: Client, page: str) -> list[str]:
    # The first request fills Django's cache of content types.
    assert client.get(page).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        client.get(page)
    return [query["sql"] for query in captured]


@pytest.mark.thorough
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_costs_the_same_for_few_and_for_many_rows(page: Callable[[], str]) -> None:
    fill(2)
    client = operator(is_superuser=True)
    few = statements(client, page())
    fill(12)
    many = statements(client, page())
    assert len(many) == len(few) <= 22


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("page", PAGES)
def test_no_page_counts_a_table_or_skips_over_rows(page: Callable[[], str]) -> None:
    fill(2)
    for sql in statements(operator(is_superuser=True), page()):
        assert "OFFSET" not in sql
        # A number of each group, of rows that an index or a limit holds together.
        if "COUNT(" in sql:
            assert "GROUP BY" in sql or f"LIMIT {10_000}" in sql, sql


def test_figures_look_at_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST", 5)
    monkeypatch.setattr(statistics, "SAMPLE", 3)
    for _ in range(8):
        dead()
    assert [part.count for part in statistics.backlog("default")] == [5]
    assert len(statistics.latest_done("default", ["testapp.behave"])) == 3
    assert sum(statistics.published_by_minute("default", first_id=1).by_minute.values()) == 5
    (group,) = groups("default")
    assert (group.dead, set(group.partial)) == (5, {"dead"})


def test_secrets_are_looked_for_once_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload may be long, and an event may have many deliveries and attempts."""
    looked: list[Any] = []

    def counting(tree: Any) -> Iterator[str]:
        looked.append(tree)
        return redacted_values(tree)

    monkeypatch.setattr("eda_django.admin.masking.redacted_values", counting)
    row = dead()
    for n in range(3):
        dead(f"s{n}", event=row.event)
    client = operator(is_superuser=True)
    for page in (url("outboxevent_change", row.event_id), url("delivery_change", row.pk)):
        looked.clear()
        client.get(page)
        assert len(looked) == 1, page


def test_the_list_of_failures_makes_no_traceback_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows none, and each may be long."""
    monkeypatch.setattr("eda_django.admin.failures.shortened", lambda trace: 1 / 0)
    dead()
    assert operator(is_superuser=True).get(url("failure_changelist")).status_code == 200


def test_the_log_is_looked_through_in_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no index that leads to what was done to a row, and every site's app writes to it."""
    row = dead()
    client = operator(is_superuser=True)
    about = {
        "user": User.objects.get(),
        "content_type": ContentType.objects.get_for_model(Delivery),
        "object_id": str(row.pk),
        "action_flag": CHANGE,
    }
    for number in range(6):
        LogEntry.objects.create(**about, change_message=f"Retried: {number}")

    def told() -> list[str]:
        page = client.get(url("outboxevent_change", row.event_id))
        words = [entry.text for entry in page.context["timeline"]]
        return sorted(one[-1] for one in words if "Retried" in one)

    assert told() == list("012345")
    monkeypatch.setattr("eda_django.admin.history.MAX_LOOKED_AT", 3)
    assert told() == list("345")
    # Nobody did anything to an event before it was there.
    LogEntry.objects.update(action_time=row.event.time - 2 * SLACK)
    assert told() == []


@override_settings(EDA_DJANGO={"REDACT": ["behave"]})
def test_no_page_shows_what_is_redacted() -> None:
    """G9."""
    row = event_row()
    OutboxEvent.objects.filter(pk=row.pk).update(data={"text": "a", "behave": "t0psecret"})
    row.refresh_from_db()
    delivery = dead(event=row, error_text="said t0psecret")
    delivery.failed_attempts.update(error_text="t0psecret", traceback="t0psecret")
    client = operator(is_superuser=True)
    for page in PAGES:
        if "group" in page():
            continue
        assert "t0psecret" not in text(client, page()), page()
    group = f"{url('failure_group')}?subscriber=testapp.behave&fingerprint={'f' * 32}"
    assert "t0psecret" not in text(client, group)
