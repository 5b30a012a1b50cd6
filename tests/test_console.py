"""The console's pages: what they tell, to whom, and what they cost."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_rq import settings as django_rq_settings

from eda_django import dispatch, publish, publishes, subscribes
from eda_django.admin import health
from eda_django.dispatch import QueueState
from eda_django.models import Delivery, FailureNote, OutboxEvent, RelayHeartbeat, statistics
from eda_django.registry import registry
from tests.console import TRACE, VIEW, dead, event_row, operator, retrying, url
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[QueueState]:
    """Stand for Redis: queues that are empty, each with a worker."""
    queues = [QueueState(name="default", depth=0, workers=1)]
    monkeypatch.setattr("eda_django.admin.overview.queue_states", lambda: queues)
    return queues


def beat(seconds_ago: float = 0) -> Any:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    about = {"hostname": "host-a", "pid": 7, "version": "1.2"}
    return RelayHeartbeat.objects.create(name=uuid4().hex, started_at=at, beat_at=at, **about)


def text(client: Client, page: str) -> str:
    answer = client.get(page)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# The overview


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


# An event's page


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


# Failures


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


def test_a_group_shows_a_traceback_to_whoever_may_see_attempts() -> None:
    row = dead()
    page = f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}"
    assert TRACE.splitlines()[1].strip().replace('"', "&quot;") in text(operator(*VIEW), page)
    assert "services.py&quot;" not in text(operator("view_delivery"), page)


def test_nothing_fails() -> None:
    assert "Nothing fails." in text(operator(*VIEW), url("failure_changelist"))


# The catalogue


@pytest.fixture
def declared() -> Iterator[None]:
    published = {name: set(paths) for name, paths in registry.published.items()}
    yield
    registry.published.clear()
    registry.published.update(published)


@pytest.mark.usefixtures("declared")
def test_the_catalogue_has_types_publishers_subscriptions_and_volume() -> None:
    @publishes(Noted)
    def note() -> Noted:
        return Noted("x")

    note()
    publish("gone.by", {})
    page = operator(*VIEW).get(url("catalogueentry_changelist"))
    entries = {entry.name: entry for entry in page.context["entries"]}
    noted = entries["testapp.noted"]
    assert noted.fields == ("text: str", "behave: str")
    assert any(path.endswith("<locals>.note") for path in noted.publishers)
    assert "testapp.behave" in noted.subscribers
    assert noted.count == 1
    assert noted.last_seen is not None
    assert [entry.name for entry in page.context["undeclared"]] == ["gone.by"]
    assert "testapp.bill" in {s.name for s in page.context["idle"]}
    assert "testapp.order_placed" in entries


def test_the_catalogue_tells_what_waits_for_newer_code_and_what_was_seen_long_ago() -> None:
    publish("gone.by", {})
    OutboxEvent.objects.update(
        available_at=timezone.now(), error="no code", time=timezone.now() - timedelta(days=9)
    )
    page = operator(*VIEW).get(url("catalogueentry_changelist"))
    (entry,) = page.context["waiting"]
    assert (entry.name, entry.aside) == ("gone.by", 1)
    assert entry.last_seen is not None


def test_who_publishes_what_to_whom_is_drawn_for_fifty_types() -> None:
    from eda_django.admin.drawing import drawing

    types = {f"app.type_{n}": ([f"p{n // 3}"], [f"s{n}", f"s{(n * 7) % 50}"]) for n in range(50)}
    drawn = drawing(types)
    places = [(box.x, box.y) for box in drawn.boxes]
    assert len(places) == len(set(places))
    for x in {place for place, _ in places}:
        heights = sorted(y for place, y in places if place == x)
        assert (
            min(b - a for a, b in zip(heights, heights[1:], strict=False)) >= drawn.boxes[0].height
        )
    assert all(0 <= box.y <= drawn.height - box.height for box in drawn.boxes)


# What it costs


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
]


def statements(client: Client, page: str) -> list[str]:
    # The first request fills Django's cache of content types.
    assert client.get(page).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        client.get(page)
    return [query["sql"] for query in captured]


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
    assert sum(statistics.published_by_minute("default", first_id=1).values()) == 5


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


def test_subscriptions_of_newer_or_older_code_are_shown_too() -> None:
    dead("gone.by", status="succeeded")

    @subscribes("t.new", name="t.new")
    def new(event: Any) -> None: ...

    page = operator(*VIEW).get(url("overview_changelist"))
    rows = {row.name: row.is_known for row in page.context["rows"]}
    assert (rows["gone.by"], rows["t.new"]) == (False, True)
