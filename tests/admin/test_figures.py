"""The overview's figures: how many in which minute, and which numbers are lower bounds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from eda_django.models import OutboxEvent, statistics
from eda_django.models.statistics import Traffic
from tests.console import VIEW, beat, dead, event_row, operator, retrying, sentence, url

pytestmark = pytest.mark.django_db


def test_events_and_deliveries_are_counted_by_the_minute_in_which_they_came() -> None:
    minute = int(timezone.now().timestamp()) // 60 - 10
    for seconds in (0.0, 59.9, 60.0, 125.5):
        at = datetime.fromtimestamp(minute * 60 + seconds, UTC)
        row = dead(status="succeeded", finished_at=at)
        OutboxEvent.objects.filter(pk=row.event_id).update(time=at)
    expected = {minute: 2, minute + 1: 1, minute + 2: 1}
    day = timezone.now() - timedelta(days=1)
    published = statistics.published_by_minute("default", first_id=1)
    finished = statistics.finished_by_minute("default", [row.subscriber], since=day)
    assert published == finished == Traffic(by_minute=expected)


def test_what_is_dead_or_dropped_did_not_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is among what was looked at all the same: a bound that it fills up is one."""
    at = datetime.fromtimestamp(int(timezone.now().timestamp()) // 60 * 60 - 600, UTC)
    for status in ("succeeded", "dead", "discarded"):
        row = dead(status=status, finished_at=at)
    minute = int(at.timestamp()) // 60
    day = timezone.now() - timedelta(days=1)

    def found() -> Traffic:
        return statistics.finished_by_minute("default", [row.subscriber], since=day)

    assert found() == Traffic(by_minute={minute: 1})
    monkeypatch.setattr(statistics, "SAMPLE", 3)
    monkeypatch.setattr(statistics, "MOST", 3)
    assert found() == Traffic(by_minute={minute: 1}, whole_from=minute + 1)


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
def test_both_lines_of_a_chart_begin_where_both_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each subscriber has a bound of its own, and one that is busy reaches it alone."""
    now = timezone.now().replace(second=30)
    for minutes in (50, 20, 10, 10, 5):
        at = now - timedelta(minutes=minutes)
        row = dead(status="succeeded", finished_at=at)
        OutboxEvent.objects.filter(pk=row.event_id).update(time=at)
    dead("testapp.mail", event=row.event, status="succeeded", finished_at=at)

    def charts() -> list[Any]:
        found: list[Any] = operator(*VIEW).get(url("overview_changelist")).context["charts"]
        return found

    assert [(chart.sums, chart.begins) for chart in charts()] == [((5, 6), "")] * 2
    monkeypatch.setattr(statistics, "SAMPLE", 4)
    # Four of each subscriber: the first of these is 20 minutes old, and its minute may have more.
    monkeypatch.setattr(statistics, "MOST", 8)
    hour, day = charts()
    assert hour.sums == (3, 4)
    begin = date_format(timezone.localtime(now - timedelta(minutes=19)), "TIME_FORMAT")
    assert hour.begins == f"From {begin} on; before that there is too much to count."
    assert len(hour.first.split()) == len(hour.second.split()) in (20, 21)
    assert hour.first.split()[-1].startswith("720.0,")
    assert len(day.first.split()) <= 2
    monkeypatch.setattr(statistics, "SAMPLE", 1)
    monkeypatch.setattr(statistics, "MOST", 1)
    assert charts()[1].begins == "Too much to count."
    assert charts()[1].sums == (0, 0)


@pytest.mark.usefixtures("quiet")
def test_a_state_that_was_not_counted_to_its_end_is_told_as_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the subscribers together, none of which has that many alone."""
    beat()
    for name in ("testapp.behave", "testapp.mail"):
        for _ in range(2):
            dead(name)
    retrying()
    monkeypatch.setattr(statistics, "MOST", 4)
    assert sentence() == (
        "bad",
        "4 or more deliveries are dead: nobody tries them again until you do.",
        ("1 delivery failed and will be tried again.",),
    )
    page = operator(*VIEW).get(url("overview_changelist"))
    cells = {row.name: row.cells for row in page.context["rows"]}
    assert [text for _, _, text in cells["testapp.behave"]][:3] == ["2 or more", "1", "0"]
    assert [text for _, _, text in cells["testapp.mail"]][:3] == ["2 or more", "0", "0"]
    assert [text for _, _, text in cells["testapp.bill"]][:3] == ["0 or more", "0", "0"]
    monkeypatch.setattr(statistics, "MOST", 1)
    assert "1 or more deliveries failed and will be tried again." in sentence()[2]
    page = operator(*VIEW).get(url("overview_changelist"))
    oldest = {row.name: row.oldest_since for row in page.context["rows"]}
    assert oldest["testapp.behave"].endswith(" or more")
    assert oldest["testapp.mail"] == ""
    assert "at least" in page.content.decode()
