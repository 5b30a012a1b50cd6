"""The number of the first event of a time, found without an index over times."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django import publish_many
from eda_django.models import OutboxEvent, windows
from eda_django.models.windows import first_event_since
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ids(count: int, *, gap: int = 0) -> list[int]:
    """Publish events, one a minute until now; delete every `gap`th; return the numbers."""
    publish_many([Noted(str(n)) for n in range(count)])
    rows = list(OutboxEvent.objects.order_by("pk"))
    for n, row in enumerate(rows):
        row.time = NOW - timedelta(minutes=count - 1 - n)
    OutboxEvent.objects.bulk_update(rows, ["time"])
    if gap:
        OutboxEvent.objects.filter(pk__in=[row.pk for row in rows[::gap]]).delete()
    return list(OutboxEvent.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("probes", [4, 100])
def test_it_is_that_of_the_first_event_which_is_young_enough(
    gap: int, probes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many searches are needed, and where numbers are missing."""
    monkeypatch.setattr(windows, "PROBES", probes)
    found = ids(40, gap=gap)
    times = dict(OutboxEvent.objects.values_list("pk", "time"))
    for minutes in (-1, 0, 1, 2, 13, 38, 39, 40, 500):
        moment = NOW - timedelta(minutes=minutes)
        expected = [pk for pk in found if times[pk] >= moment]
        first = first_event_since(moment, "default")
        assert [pk for pk in found if pk >= first] == expected, minutes


def test_of_no_events_it_is_the_first_number() -> None:
    assert first_event_since(NOW, "default") == 1


def test_a_search_that_ends_early_finds_one_that_is_too_low(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing young enough may be missing."""
    if connection.vendor != "mysql":
        pytest.skip("The others search to the end.")
    monkeypatch.setattr(windows, "PROBES", 2)
    monkeypatch.setattr(windows, "ROUNDS", 2)
    found = ids(40)
    for minutes in range(40):
        first = first_event_since(NOW - timedelta(minutes=minutes), "default")
        assert first <= found[39 - minutes], minutes


def test_it_costs_the_same_for_few_and_for_many_events() -> None:
    counts = []
    for _ in range(3):
        ids(20)
        with CaptureQueriesContext(connection) as captured:
            first_event_since(NOW - timedelta(minutes=5), "default")
        counts.append(len(captured))
    assert len(set(counts)) == 1
