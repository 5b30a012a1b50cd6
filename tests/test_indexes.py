"""What waits is found by an index over nothing but what waits, however much is finished."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django.admin.filters import EventStateFilter
from eda_django.models import Delivery, OutboxEvent, look, statistics, volumes
from eda_django.models.groups import groups
from eda_django.models.indexes import HotIndex
from eda_django.models.search import types_in_the_outbox
from eda_django.models.selection import Selection
from eda_django.models.statistics import subscribers_with_history
from eda_django.models.windows import page
from tests import bulk
from tests.bulk import fill_deliveries, fill_events

# Enough that a planner has a reason to prefer one plan to another.
FINISHED = 50_000
DAY = timedelta(days=1)


@pytest.fixture
def finished(transactional_db: None) -> None:
    """Fill the tables with finished rows, and a few that wait."""
    now = bulk.in_seconds("0")
    fill_events(FINISHED, relayed_at=f"CASE WHEN n <= {FINISHED - 50} THEN {now} END")
    fill_deliveries(
        FINISHED,
        status=(
            "CASE WHEN n % 1000 = 1 THEN 'pending' WHEN n % 1000 = 2 THEN 'queued'"
            " WHEN n % 1000 = 3 THEN 'running' ELSE 'succeeded' END"
        ),
        attempts="1",
        due_at=now,
        lease_until=now,
        token=bulk.some_uuid(),
    )
    bulk.settle()


def plan_of(statement: Any) -> str:
    """Return how the database goes about the first SELECT that `statement` sends."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        statement()
    (sql, *_) = [q["sql"] for q in captured if q["sql"].lstrip().startswith(("SELECT", "WITH"))]
    return explained(sql)


def explained(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return "\n".join(" | ".join(map(str, row)) for row in cursor.fetchall())


CLAIMS = {
    "eda_event_fresh": lambda: OutboxEvent.objects.lock_fresh(500),
    "eda_event_scheduled": lambda: OutboxEvent.objects.release_scheduled(500),
    "eda_delivery_due": lambda: Delivery.objects.claim_due(500, size=25, lease=30.0, queues={}),
    "eda_delivery_leased": lambda: Delivery.objects.lapsed_queued(500),
    "eda_delivery_leased ": lambda: Delivery.objects.lapsed_queued(500, since=timezone.now() - DAY),
    "eda_delivery_leased  ": lambda: Delivery.objects.lock_lapsed_running(500),
}


@pytest.mark.usefixtures("finished")
def test_every_claim_uses_the_index_over_what_waits() -> None:
    """No claim may read, or on InnoDB lock, what is finished; nor sort what it found."""
    for index, statement in CLAIMS.items():
        plan = plan_of(statement)
        assert index.strip() in plan, f"{index}: {plan}"
        assert "Seq Scan" not in plan, f"{index}: {plan}"
        assert not re.search(r"filesort|TEMP B-TREE", plan), f"{index}: {plan}"


@pytest.mark.usefixtures("finished")
def test_claim_finds_what_waits_among_what_is_finished() -> None:
    with transaction.atomic():
        chunks = Delivery.objects.claim_due(500, size=25, lease=30.0, queues={})
    assert sum(len(chunk.delivery_ids) for chunk in chunks) == FINISHED // 1000
    assert len(Delivery.objects.lapsed_queued(10)) == FINISHED // 1000
    assert look("default").must_fan_out


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("since", [None, timezone.now() - DAY])
def test_look_reads_no_table_from_end_to_end(since: datetime | None) -> None:
    plan = plan_of(lambda: look("default", since=since))
    assert "Seq Scan" not in plan
    assert not re.search(r"SCAN eda_django_\w+(?! USING)$", plan, re.MULTILINE)
    if connection.vendor == "mysql":
        # Columns of EXPLAIN: id, select_type, table, type, …; "ALL" reads the whole table.
        assert " | ALL | " not in plan


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("state", ["new", "aside"])
def test_the_console_finds_what_is_not_relayed_by_an_index(state: str) -> None:
    """Of a million events a page reads those, and not all."""
    if (state, connection.vendor) == ("new", "sqlite"):
        pytest.skip("SQLite takes no two partial indexes for one condition.")
    needless: Any = None
    chosen = EventStateFilter(RequestFactory().get("/"), {"state": [state]}, OutboxEvent, needless)
    rows = chosen.queryset(RequestFactory().get("/"), OutboxEvent.objects.all())
    plan = plan_of(lambda: page(rows, before=None, size=50, is_narrow=True))
    assert re.search("eda_event_(fresh|scheduled)", plan), plan
    assert not re.search(r"Seq Scan|SCAN eda_django_\w+(?! USING INDEX eda_event)", plan), plan
    assert " | ALL | " not in plan, plan


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("term", ["0b5c7a0e-93c1-4ef2-8d0a-6f1c2b3d4e5f", "7"])
def test_deliveries_are_searched_for_by_indexes(term: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        page(Selection(search=term).among(Delivery.objects), before=None, size=50, is_narrow=True)
    for sql in (query["sql"] for query in captured):
        plan = explained(sql)
        assert not re.search(r"Seq Scan|SCAN eda_django_\w+(?! USING INDEX eda_event)", plan), plan
        assert " | ALL | " not in plan, plan


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("of", [{}, {"subscriber": "t.sub", "fingerprint": ""}])
def test_failures_are_grouped_by_an_index_over_what_fails(of: dict[str, str]) -> None:
    plan = plan_of(lambda: groups("default", **of))
    if connection.vendor == "mysql":
        assert len(re.findall(r"\| ref \| .*eda_delivery_", plan)) == 2, plan
    else:
        # On PostgreSQL that of all that is pending may be as good.
        assert len(re.findall("eda_delivery_(?:failing|due)", plan)) == 2, plan
        assert "eda_delivery_failing" in plan
    assert not re.search(r"Seq Scan|SCAN eda_django", plan), plan
    assert not re.search(r"eda_django_delivery \| (None \| )?ALL", plan), plan


@pytest.mark.usefixtures("finished")
def test_where_an_age_begins_is_found_by_an_index() -> None:
    plan = plan_of(lambda: Selection(until_event=FINISHED - 100).highest("default"))
    assert re.search("eda_delivery_event_subscriber|sqlite_autoindex_eda_django_delivery", plan)
    assert not re.search(r"Seq Scan|SCAN|filesort|Sort|TEMP B-TREE", plan), plan


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("names", [types_in_the_outbox, subscribers_with_history])
def test_names_are_found_by_leaps_through_an_index(names: Callable[[str], list[str]]) -> None:
    plan = plan_of(lambda: names("default"))
    assert "Seq Scan" not in plan
    assert not re.search(r"SCAN eda_django_\w+(?! USING)$", plan, re.MULTILINE)
    if connection.vendor == "mysql":
        assert "Using index for group-by" in plan
    assert len(names("default")) <= 1


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


@pytest.mark.usefixtures("finished")
def test_verbs_find_their_rows_by_primary_key() -> None:
    """InnoDB locks whatever an UPDATE reads: a scan would wait for every worker."""
    rows = Delivery.objects.lapsed_queued(3)
    running = Delivery.objects.filter(status="running").first()
    assert running is not None
    then = Delivery.objects.filter(status="queued").earliest("pk")
    changes = {
        "requeue": lambda: Delivery.objects.requeue(rows),
        "settle": lambda: Delivery.objects.settle(
            running.pk, {"status": "succeeded"}, token=running.claim, then=then.pk, lease=30.0
        ),
        "start": lambda: Delivery.objects.start(then.pk, token=then.claim, lease=30.0),
    }
    for name, change in changes.items():
        with transaction.atomic(), CaptureQueriesContext(connection) as captured:
            change()
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        # The one that changes, and the one that locks before it.
        statements = [q["sql"] for q in captured if q["sql"].startswith(("UPDATE", "SELECT"))]
        assert statements[-1].startswith("UPDATE")
        for sql in statements:
            with connection.cursor() as cursor:
                cursor.execute(f"{explain} {sql}")
                plan = "\n".join(" | ".join(map(str, row)) for row in cursor.fetchall())
            assert re.search(r"PRIMARY|PRIMARY KEY|_pkey", plan), f"{name}: {plan}"


def test_index_can_be_written_into_a_migration() -> None:
    index = HotIndex(name="x", fields=["a"], where=models.Q(a=1), plain_fields=("b", "a"))
    path, args, options = index.deconstruct()
    assert path == "eda_django.models.indexes.HotIndex"
    assert (args, options["plain_fields"], options["where"]) == ((), ("b", "a"), models.Q(a=1))
    assert HotIndex(**options) == index
