"""The overview: how things stand, in sentences, figures and charts."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_rq import settings as django_rq_settings

from eda_django import publish
from eda_django.admin import health
from eda_django.dispatch import queues
from eda_django.dispatch.queues import QueueState
from eda_django.models import OutboxEvent
from eda_django.models.status import SET_ASIDE
from eda_django.registry import registry
from tests.console import (
    VIEW,
    beat,
    dead,
    event_row,
    operator,
    retrying,
    sentence,
    text,
    url,
)
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db
NAMES = ("default", "slow")


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
def test_a_relay_that_is_silent_is_called_so_in_words_too() -> None:
    beat(3_001)
    beat(5)
    client = operator(*VIEW)
    for page in ("overview_changelist", "relayheartbeat_changelist"):
        # Not how many seconds ago: a busy machine takes some for the page.
        badges = re.findall(
            r'eda-badge eda-(good|bad)">(?:\d+ )?(s ago|silent [^<]+)<', text(client, url(page))
        )
        assert badges == [("good", "s ago"), ("bad", "silent for 50 min")], page


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
    for depth, words in ((1, "1 waits"), (3, "3 wait")):
        quiet[:] = [QueueState(name="mail", depth=depth, workers=0)]
        said = f"No worker takes jobs from queue mail, where {words}."
        assert sentence()[:2] == ("bad", said)


def test_sentences_lead_to_what_they_speak_of(quiet: list[QueueState]) -> None:
    quiet[:] = [QueueState(name="default", depth=1, workers=0)]
    old = dead(status="pending", attempts=0, due_at=timezone.now(), finished_at=None).event
    OutboxEvent.objects.update(time=timezone.now() - timedelta(seconds=health.LATE + 60))
    dead()
    retrying()
    found = operator(*VIEW).get(url("overview_changelist")).context["health"]
    ways = re.findall('href="([^"]+)"', " ".join([found.sentence, *found.rest]))
    assert ways == [
        f"{url('delivery_changelist')}?status=queued&amp;queue=default",
        url("failure_changelist"),
        url("outboxevent_change", old.pk),
        url("failure_changelist"),
    ]
    # Who may not see events is not sent to one.
    page = text(operator("view_delivery"), url("overview_changelist"))
    assert "The oldest undelivered event is" in page
    assert url("outboxevent_change", old.pk) not in page


def test_paused_queues_are_told_and_marked(quiet: list[QueueState]) -> None:
    beat()
    quiet[:] = [QueueState(name="mail", depth=0, workers=1, is_paused=True)]
    said = "Queue mail is paused: its workers start nothing until rqresume, or its time is up."
    assert sentence() == ("odd", said, ())
    quiet += [QueueState(name=name, depth=0, workers=1, is_paused=name == "slow") for name in NAMES]
    said = (
        "Queues mail, slow are paused: their workers start nothing until rqresume,"
        " or their time is up."
    )
    assert sentence()[:2] == ("odd", said)
    answer = operator(*VIEW).get(url("overview_changelist"))
    assert {row.queue for row in answer.context["rows"] if row.is_paused} == {"slow"}
    page = answer.content.decode()
    marked = [line for line in page.split("<tr") if ">paused</span>" in line]
    # Its subscription and both queues.
    assert len(marked) == 3


def test_nothing_is_paused_where_the_relay_runs_the_subscribers_itself(
    quiet: list[QueueState],
) -> None:
    quiet[:] = [QueueState(name=name, depth=0, workers=1, is_paused=True) for name in NAMES]
    beat(inline=True)
    assert sentence() == ("good", "Everything is well.", ())
    assert ">paused</span>" not in text(operator(*VIEW), url("overview_changelist"))
    # Beside one that pushes to the queues it is as ever.
    beat()
    assert "paused" in sentence()[1]


def test_without_a_relay_too_a_redis_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eda_django.admin.overview.queue_states", lambda: None)
    _tone, words, rest = sentence()
    assert words.startswith("No relay runs")
    assert rest == ("Redis does not answer: nothing reaches the workers.",)


def test_a_redis_that_is_away_is_told_and_breaks_nothing() -> None:
    beat()
    beat(inline=True)
    away = {name: {**settings.REDIS, "PORT": 1} for name in settings.RQ_QUEUES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_rq_settings, "QUEUES", away)
        assert queues.queue_states() is None
        assert sentence()[:2] == ("bad", "Redis does not answer: nothing reaches the workers.")


def test_a_queue_whose_address_can_not_be_read_breaks_no_page() -> None:
    beat()
    unreadable = {**settings.RQ_QUEUES, "slow": {"URL": "localhost:6379"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_rq_settings, "QUEUES", unreadable)
        patch.setattr("eda_django.admin.overview.queue_states", queues.queue_states)
        for page in (url("overview_changelist"), "/admin/eda_django/"):
            shown = text(operator(*VIEW), page)
            assert '<th scope="row">slow</th><td colspan="2">Redis does not answer.' in shown
            assert '<th scope="row">default</th><td>' in shown


def test_one_redis_of_several_that_is_away_is_told_with_its_queues(
    quiet: list[QueueState],
) -> None:
    beat()
    quiet += [QueueState(name="slow", depth=0, workers=0, is_away=True)]
    said = "The Redis of queue slow does not answer: nothing reaches its workers."
    assert sentence() == ("bad", said, ())
    page = text(operator(*VIEW), url("overview_changelist"))
    assert '<th scope="row">slow</th><td colspan="2">Redis does not answer.</td>' in page
    assert '<th scope="row">default</th><td>0</td>' in page


def test_a_site_whose_relay_runs_the_subscribers_itself_needs_no_redis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eda_django.admin.overview.queue_states", lambda: None)
    beat(inline=True)
    # One that pushed to queues and is silent does so no more.
    beat(3_000)
    assert sentence()[:2] == ("good", "Everything is well.")
    page = text(operator(*VIEW), url("overview_changelist"))
    assert "The relay runs the subscribers itself." in page
    assert "7 (inline)" in page
    assert "Redis does not answer" not in page


@pytest.mark.usefixtures("quiet")
def test_what_waits_for_code_or_a_queue_is_told_with_the_way_to_it() -> None:
    beat()
    now = timezone.now()
    for kind in SET_ASIDE:
        dead(status="pending", attempts=0, due_at=now, finished_at=None, error_class=kind)
    # It was put aside once, and has succeeded since.
    dead(status="succeeded", error_class=SET_ASIDE[0])
    page = "/admin/eda_django/delivery/?error_class=aside"
    words = "3 deliveries wait for code or a queue that is not there."
    assert sentence()[:2] == ("odd", words)
    assert f'<a href="{page}">{words}</a>' in text(operator(*VIEW), url("overview_changelist"))
    assert len(operator(*VIEW).get(page).context["cl"].result_list) == 3


@pytest.mark.usefixtures("quiet")
def test_an_event_that_was_set_aside_is_not_delivered() -> None:
    beat()
    row = event_row()
    long_ago = timezone.now() - timedelta(days=3)
    values = {"relayed_at": None, "available_at": timezone.now(), "error": "no code"}
    OutboxEvent.objects.filter(pk=row.pk).update(time=long_ago, **values)
    tone, words, rest = sentence()
    assert (tone, words) == ("odd", "The oldest undelivered event is 3 days old.")
    assert rest == ("1 event waits for code that knows its type.",)


@pytest.mark.usefixtures("quiet")
def test_an_event_that_waits_for_long_is_odd() -> None:
    beat()
    publish(Noted("a"))
    long_ago = timezone.now() - timedelta(seconds=health.LATE + 60)
    OutboxEvent.objects.update(time=long_ago)
    tone, words, _ = sentence()
    assert (tone, words) == ("odd", "The oldest undelivered event is 6 min old.")


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
    found = queues.queue_states()
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
        state = next(s for s in queues.queue_states() or () if s.name == "slow")
        assert state.workers == 1
    finally:
        for worker in workers:
            worker.register_death()
