"""What waits is found by an index over nothing but what waits, however much is finished."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from eda_django.admin.filters import EventStateFilter
from eda_django.chunks import Chunk
from eda_django.models import Delivery, OutboxEvent, look
from eda_django.models.groups import groups
from eda_django.models.indexes import HotIndex
from eda_django.models.search import types_in_the_outbox
from eda_django.models.selection import Selection
from eda_django.models.statistics import subscribers_with_history
from eda_django.models.windows import page
from tests import bulk
from tests.bulk import fill_deliveries, fill_events
from tests.plans import PLANS, explained, plan_of, sent_by

# Enough that a planner has a reason to prefer one plan to another.
FINISHED = 50_000
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Fill the tables, once for all tests that read them."""
    with bulk.committed(fill, django_db_blocker):
        yield


@pytest.fixture
def finished(filled: None, db: None) -> None:
    """What a test changes in the full tables is rolled back."""


def fill() -> None:
    """Insert finished rows, and a few that wait."""
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
        assert plan.count(index.strip()) >= PLANS, f"{index}: {plan}"
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
    selection = Selection(search=term)

    def search() -> None:
        page(selection.among(Delivery.objects), before=None, size=50, is_narrow=True)
        selection.is_cut("default")

    for sent in sent_by(search):
        plan = explained(*sent)
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
        assert len(re.findall("eda_delivery_(?:failing|due)", plan)) == 2 * PLANS, plan
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
        # The one that changes, and the one that locks before it.
        statements = [s for s in sent_by(change) if s[0].startswith(("UPDATE", "SELECT"))]
        assert statements[-1][0].startswith("UPDATE")
        for sent in statements:
            plan = explained(*sent)
            assert re.search(r"PRIMARY|PRIMARY KEY|_pkey", plan), f"{name}: {plan}"


@pytest.mark.usefixtures("finished")
def test_a_claim_of_many_chunks_is_one_statement_by_primary_key() -> None:
    claim = partial(Delivery.objects.claim_due, 500, size=1, lease=30.0, queues={})
    chunks: list[Chunk] = []
    sent = sent_by(lambda: chunks.extend(claim()))
    assert len(chunks) == FINISHED // 1000
    (update,) = [s for s in sent if s[0].startswith("UPDATE")]
    plan = explained(*update)
    assert len(re.findall(r"PRIMARY|_pkey", plan)) >= PLANS, plan
    assert not re.search(r"Seq Scan|SCAN eda_django|eda_django_delivery \| (None \| )?ALL", plan), (
        plan
    )


def test_index_can_be_written_into_a_migration() -> None:
    index = HotIndex(name="x", fields=["a"], where=models.Q(a=1), plain_fields=("b", "a"))
    path, args, options = index.deconstruct()
    assert path == "eda_django.models.indexes.HotIndex"
    assert (args, options["plain_fields"], options["where"]) == ((), ("b", "a"), models.Q(a=1))
    assert HotIndex(**options) == index
