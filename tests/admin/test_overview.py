"""The overview: how things stand, in sentences, figures and charts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_rq import settings as django_rq_settings

from eda_django import dispatch, publish, subscribes
from eda_django.admin import health
from eda_django.dispatch import QueueState
from eda_django.models import OutboxEvent, RelayHeartbeat, statistics
from eda_django.registry import registry
from tests.console import VIEW, dead, event_row, operator, retrying, text, url
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


def beat(seconds_ago: float = 0) -> Any:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    about = {"hostname": "host-a", "pid": 7, "version": "1.2"}
    return RelayHeartbeat.objects.create(name=uuid4().hex, started_at=at, beat_at=at, **about)


def sentence() -> tuple[str, str, tuple[str, ...]]:
    answer = operator(*VIEW).get(url("overview_changelist"))
    found = answer.context["health"]
    return found.tone, found.sentence, found.rest


@pytest.mark.usefixtures("quiet")
def test_everything_is_well_if_a_relay_lives_and_nothing_waits() -> None:
    beat()
    assert sentence() == ("good", "Everything is well.", ())


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("age", [None, 120])
def test_no_relay_is_bad(age: int | None) -> None:
    if age:
        beat(age)
    assert sentence()[:2] == (
        "bad",
        "No relay runs: nothing new is delivered, and nothing is retried.",
    )


def test_events_and_deliveries_are_counted_by_the_minute_in_which_they_came() -> None:
    minute = int(timezone.now().timestamp()) // 60 - 10
    for seconds in (0.0, 59.9, 60.0, 125.5):
        at = datetime.fromtimestamp(minute * 60 + seconds, UTC)
        row = dead(finished_at=at)
        OutboxEvent.objects.filter(pk=row.event_id).update(time=at)
    expected = {minute: 2, minute + 1: 1, minute + 2: 1}
    day = timezone.now() - timedelta(days=1)
    assert statistics.published_by_minute("default", first_id=1) == expected
    assert statistics.finished_by_minute("default", [row.subscriber], since=day) == expected


@pytest.mark.usefixtures("quiet")
def test_a_relay_that_is_silent_is_called_so_in_words_too() -> None:
    beat(3_001)
    beat(5)
    client = operator(*VIEW)
    for page in ("overview_changelist", "relayheartbeat_changelist"):
        badges = re.findall(
            r'eda-badge eda-(good|bad)">(\d+ s ago|silent [^<]+)<', text(client, url(page))
        )
        assert badges == [("good", "5 s ago"), ("bad", "silent for 50 min")], page


@pytest.mark.usefixtures("quiet")
def test_heartbeats_are_told_by_the_clock_that_wrote_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """G11. The web server's may be minutes off, and a relay that lives would be called silent."""
    beat()
    off = timezone.now() + timedelta(minutes=10)
    monkeypatch.setattr("eda_django.admin.overview.timezone.now", lambda: off)
    assert sentence()[:2] == ("good", "Everything is well.")


@pytest.mark.usefixtures("quiet")
def test_the_worst_is_said_first_and_the_rest_after_it() -> None:
    beat()
    dead()
    retrying()
    row = event_row()
    values = {"relayed_at": None, "available_at": timezone.now(), "error": "no code"}
    OutboxEvent.objects.filter(pk=row.pk).update(**values)
    assert sentence() == (
        "bad",
        "1 delivery is dead: nobody tries it again until you do.",
        (
            "1 delivery failed and will be tried again.",
            "1 event waits for code that knows its type.",
        ),
    )


def test_a_queue_that_nobody_works_on_is_bad_if_something_waits_there(
    quiet: list[QueueState],
) -> None:
    beat()
    quiet[:] = [QueueState(name="mail", depth=0, workers=0)]
    assert sentence()[0] == "good"
    quiet[:] = [QueueState(name="mail", depth=3, workers=0)]
    assert sentence()[:2] == ("bad", "No worker takes jobs from queue mail, where 3 wait.")


def test_a_redis_that_is_away_is_told_and_breaks_nothing() -> None:
    beat()
    away = {name: {**settings.REDIS, "PORT": 1} for name in settings.RQ_QUEUES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_rq_settings, "QUEUES", away)
        assert dispatch.queue_states() is None
        assert sentence()[:2] == ("bad", "Redis does not answer: nothing reaches the workers.")


@pytest.mark.usefixtures("quiet")
def test_an_event_that_waits_for_long_is_odd() -> None:
    beat()
    publish(Noted("a"))
    long_ago = timezone.now() - timedelta(seconds=health.LATE + 60)
    OutboxEvent.objects.update(time=long_ago)
    tone, words, _ = sentence()
    assert (tone, words) == ("odd", "The oldest undelivered event has waited for 6 min.")


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
    assert [count for _, count in row.cells] == ["2", "1", "3", "4", "5"]
    heads = re.findall(r'<th scope="col">(\w+)</th>', page.content.decode())
    assert heads[1:6] == ["Dead", "Retrying", "Pending", "Queued", "Running"]


@pytest.mark.usefixtures("quiet")
def test_the_charts_count_what_came_and_what_went() -> None:
    now = timezone.now()
    for minutes in (1, 1, 30, 200, 2_000):
        at = now - timedelta(minutes=minutes)
        event = event_row()
        dead(event=event, status="succeeded", started_at=at, finished_at=at)
        OutboxEvent.objects.filter(pk=event.pk).update(time=at)
    charts = operator(*VIEW).get(url("overview_changelist")).context["charts"]
    # Numbers and times have another order here than in real life; the slack covers an hour.
    assert [chart.sums[1] for chart in charts] == [3, 4]
    assert charts[0].top == 2


@pytest.mark.usefixtures("quiet")
def test_the_index_of_the_app_is_the_overview_for_whoever_may_view() -> None:
    index = "/admin/eda_django/"
    assert "eda-health" in text(operator(*VIEW), index)
    assert "eda-health" not in text(operator("view_relayheartbeat"), index)
    assert url("overview_changelist") in text(operator(*VIEW), "/admin/")


@pytest.mark.parametrize(
    "name",
    ["overview_changelist", "failure_changelist", "catalogueentry_changelist"],
)
def test_pages_are_closed_to_whoever_may_not_view(name: str) -> None:
    assert operator().get(url(name)).status_code == 403
    assert operator("retry_delivery").get(url(name)).status_code == 403
    assert Client().get(url(name)).status_code == 302


def test_queues_are_asked_for_what_waits_and_who_lives() -> None:
    found = dispatch.queue_states()
    assert found is not None
    names = {settings.EDA_DJANGO.get("QUEUE", "default"), *(s.queue for s in registry if s.queue)}
    assert {state.name for state in found} == names & set(settings.RQ_QUEUES)


def test_a_worker_that_died_is_not_counted() -> None:
    import django_rq
    from rq import Worker

    queue = django_rq.get_queue("slow")
    workers = [Worker([queue], connection=queue.connection) for _ in range(2)]
    for worker in workers:
        worker.register_birth()
    try:
        queue.connection.delete(workers[0].key)
        state = next(s for s in dispatch.queue_states() or () if s.name == "slow")
        assert state.workers == 1
    finally:
        for worker in workers:
            worker.register_death()


def test_subscriptions_of_newer_or_older_code_are_shown_too() -> None:
    dead("gone.by", status="succeeded")

    @subscribes("t.new", name="t.new")
    def new(event: Any) -> None: ...

    page = operator(*VIEW).get(url("overview_changelist"))
    rows = {row.name: row.is_known for row in page.context["rows"]}
    assert (rows["gone.by"], rows["t.new"]) == (False, True)
