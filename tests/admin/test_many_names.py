"""A site with a thousand subscriptions and types, or one that had as many names in time."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django.models import Delivery, OutboxEvent, raw, statistics, volumes
from eda_django.models.statistics import DAY
from tests.console import event_row, url

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

MANY = [f"many.n{number:04}" for number in range(1_000)]


def deliver(names: list[str], *, event: Any = None, **values: Any) -> None:
    """Have each of these subscribers succeed once."""
    now = timezone.now()
    common = {"status": "succeeded", "started_at": now, "finished_at": now, **values}
    event = event or event_row()
    Delivery.objects.bulk_create(Delivery(event=event, subscriber=n, **common) for n in names)


def publish_long_ago(types: list[str]) -> None:
    at = timezone.now() - timedelta(days=3)
    OutboxEvent.objects.bulk_create(
        OutboxEvent(event_id=uuid4(), type=name, source="tests", data={}, time=at, relayed_at=at)
        for name in types
    )


@pytest.mark.thorough
@pytest.mark.parametrize("page", ["overview_changelist", "catalogueentry_changelist"])
def test_pages_answer_with_a_thousand_subscriptions_and_types(
    admin_client: Client, page: str
) -> None:
    deliver(MANY)
    publish_long_ago(MANY)
    for address in ("/admin/eda_django/", url(page)):
        assert admin_client.get(address).status_code == 200


def test_every_one_of_a_thousand_subscriptions_has_its_figures() -> None:
    deliver(MANY)
    deliver(MANY, status="dead", finished_at=timezone.now() - timedelta(minutes=5))
    since = timezone.now() - DAY
    assert statistics.last_successes("default", MANY).keys() == set(MANY)
    done = [one.subscriber for one in statistics.latest_done("default", MANY)]
    assert sorted(done) == sorted(MANY * 2)
    finished = statistics.finished_by_minute("default", MANY, since=since)
    assert sum(finished.by_minute.values()) == len(MANY)


def test_every_one_of_a_thousand_types_has_its_volume() -> None:
    publish_long_ago(MANY * 2)
    assert {name: one.count for name, one in volumes.earlier("default", MANY).items()} == (
        dict.fromkeys(MANY, 2)
    )


def test_the_bound_of_a_subscription_is_its_own_however_many_names_a_statement_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third has its row in a minute of which the busy one was cut off."""
    now = timezone.now().replace(second=30)
    minute = int(now.timestamp()) // 60
    for ago in (1, 2, 3):
        deliver(MANY[:1], event=event_row(), finished_at=now - timedelta(minutes=ago))
    deliver(MANY[2:3], finished_at=now - timedelta(minutes=3))
    monkeypatch.setattr(statistics, "SAMPLE", 2)
    monkeypatch.setattr(statistics, "MOST", 1)
    for size in (1, 2, 200):
        monkeypatch.setattr(raw, "NAMES", size)
        found = statistics.finished_by_minute("default", MANY[:3], since=now - DAY)
        assert found.by_minute == {minute - 1: 1, minute - 2: 1, minute - 3: 1}
        assert found.whole_from == minute - 1
        assert len(statistics.latest_done("default", MANY[:3])) == 3


@pytest.mark.parametrize(("names", "statements"), [(0, 0), (1, 1), (200, 1), (201, 2), (1_000, 5)])
def test_a_statement_asks_for_two_hundred_names_at_most(names: int, statements: int) -> None:
    """PostgreSQL takes all of them at once."""
    with CaptureQueriesContext(connection) as captured:
        statistics.latest_done("default", MANY[:names])
    once = connection.vendor == "postgresql"
    assert len(captured) == (min(statements, 1) if once else statements)
