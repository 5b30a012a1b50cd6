"""What the console tells of each name is read from an index, however busy the name is."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from eda_django.models import Delivery, Status, statistics, volumes
from tests import bulk
from tests.bulk import fill_deliveries, fill_events
from tests.plans import plan_of
from tests.reading import entries_read

# Enough that a planner has a reason to prefer one plan to another.
FINISHED = 50_000
DAY = timedelta(days=1)
FIGURES: list[tuple[str, str, Callable[[list[str]], Any]]] = [
    ("delivery", "finished", lambda names: statistics.latest_done("default", names)),
    ("delivery", "finished", lambda names: statistics.last_successes("default", names)),
    (
        "delivery",
        "finished",
        lambda names: statistics.finished_by_minute("default", names, since=timezone.now() - DAY),
    ),
    ("outboxevent", "idempotency|autoindex", lambda names: volumes.earlier("default", names)),
]


@pytest.mark.usefixtures("transactional_db")
def test_figures_of_each_name_are_read_from_an_index_that_is_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a busy subscription, too, no more is read than is shown."""
    names = "CASE WHEN n % 1000 = 0 THEN 't.n0' WHEN n % 5 = 0 THEN 't.n1' ELSE 't.n2' END"
    at = bulk.in_seconds(f"-1.0 * ({FINISHED} - n)")
    fill_events(FINISHED, type=names, relayed_at=at)
    fill_deliveries(FINISHED, subscriber=names, status="'succeeded'", started_at=at, finished_at=at)
    bulk.settle()
    monkeypatch.setattr(statistics, "MOST", FINISHED // 10)
    for count in (3, 300):
        wanted = [f"t.n{number}" for number in range(count)]
        for table, index, figure in FIGURES:
            plan = plan_of(partial(figure, wanted))
            assert re.search(index, plan), plan
            assert not re.search(rf"(Seq Scan on|SCAN) eda_django_{table}(?! USING)", plan), plan
            assert not re.search(r"Sort Key|FOR ORDER BY|eda_django_delivery.*filesort", plan), plan
            assert not re.search(r"eda_django_\w+ \| (None \| )?ALL", plan), plan


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("status", [Status.DISCARDED, Status.DEAD])
def test_a_last_success_is_not_looked_for_in_all_that_ended_otherwise(
    monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    at = bulk.in_seconds(f"-1.0 * ({FINISHED} - n)")
    names = "CASE WHEN n % 2 = 0 THEN 't.n0' ELSE 't.n1' END"
    fill_events(FINISHED, relayed_at=at)
    fill_deliveries(FINISHED, subscriber=names, status=f"'{status}'", finished_at=at)
    bulk.settle()
    monkeypatch.setattr(statistics, "SAMPLE", 10)
    monkeypatch.setattr(statistics, "MOST", 100)
    everything = Delivery.objects.filter(subscriber__in=["t.n0", "t.n1"], status=status)
    assert entries_read(lambda: len(everything)) >= FINISHED, "The measure measures nothing."

    def found() -> dict[str, Any]:
        return statistics.last_successes("default", ["t.n0", "t.n1", "t.n2"])

    succeed(FINISHED - 1_000)
    assert found() == {}
    assert entries_read(found) < FINISHED / 10
    # Who has one among the latest leaves more of the bound to the rest.
    at_last = succeed(FINISHED - 11)
    assert found() == {"t.n1": at_last}
    last = succeed(FINISHED - 90)
    assert found() == {"t.n1": at_last, "t.n0": last}


def succeed(number: int) -> Any:
    row = Delivery.objects.get(pk=number)
    Delivery.objects.filter(pk=number).update(status=Status.SUCCEEDED)
    return row.finished_at
