"""Few rows are due beside tens of thousands whose time has not come, and those cost nothing."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from eda_django.models import Delivery, OutboxEvent, look
from eda_django.models.status import UNKNOWN_SUBSCRIBER
from eda_django.verdicts import LATE
from tests import bulk
from tests.bulk import fill_deliveries, fill_events, in_seconds
from tests.plans import plan_of
from tests.reading import entries_read

# Of events, and of deliveries of other events.
SCHEDULED = 40_000
# Of each kind. They have the highest ids: who goes by those passes all the others.
DUE = 7
LATER = 2 * SCHEDULED
# What it may take to find and change what is due.
FEW = 500

HOUR = 3600


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Fill the tables, once for all tests that read them."""
    with bulk.committed(fill, django_db_blocker):
        yield


@pytest.fixture
def scheduled(filled: None, db: None) -> None:
    """What a test changes in the full tables is rolled back."""


def fill() -> None:
    """Insert what has to wait for an hour or longer, and then what is due since an hour."""
    fill_events(SCHEDULED, available_at=in_seconds(f"{HOUR} + n"))
    fill_events(SCHEDULED, first=SCHEDULED + 1, relayed_at=in_seconds("0"))
    waits = {"status": "'pending'", "attempts": "1"}
    fill_deliveries(SCHEDULED, first=SCHEDULED + 1, due_at=in_seconds(f"{HOUR} + n"), **waits)

    fill_events(DUE, first=LATER + 1, available_at=in_seconds(f"-{HOUR}"))
    fill_events(DUE, first=LATER + DUE + 1)
    fill_events(DUE, first=LATER + 2 * DUE + 1, relayed_at=in_seconds("0"))
    fill_deliveries(DUE, first=LATER + 2 * DUE + 1, due_at=in_seconds(f"-{HOUR}"), **waits)
    bulk.settle()


RELEASED, FRESH, CLAIMED = (
    list(range(LATER + part * DUE + 1, LATER + (part + 1) * DUE + 1)) for part in range(3)
)


def lock_fresh() -> list[int]:
    return [event.pk for event in OutboxEvent.objects.lock_fresh(500)]


def release_scheduled() -> int:
    return int(OutboxEvent.objects.release_scheduled(500))


def retry_known_events() -> int:
    return int(OutboxEvent.objects.retry_known(["t.bulk"], within=LATE, limit=500))


def retry_known_deliveries() -> int:
    return int(Delivery.objects.retry_known(UNKNOWN_SUBSCRIBER, ["t.bulk"], within=LATE, limit=500))


def claim_due() -> list[int]:
    chunks = Delivery.objects.claim_due(500, size=25, lease=30.0, queues={})
    return sorted(pk for chunk in chunks for pk in chunk.delivery_ids)


# The indexes over nothing but what waits. On MySQL both of those for events begin alike.
FRESH_INDEX, TIMES_INDEX = "eda_event_fresh", "eda_event_(?:scheduled|fresh)"
CLAIMS: dict[Callable[[], Any], tuple[str, ...]] = {
    lock_fresh: (FRESH_INDEX,),
    release_scheduled: (TIMES_INDEX,),
    claim_due: ("eda_delivery_due",),
    lambda: look("default"): (FRESH_INDEX, TIMES_INDEX, "eda_delivery_due"),
    retry_known_events: (TIMES_INDEX,),
    retry_known_deliveries: ("eda_delivery_due",),
}
by_claim = pytest.mark.parametrize(
    ("claim", "indexes"),
    CLAIMS.items(),
    ids=["fresh", "scheduled", "due", "look", "events put aside", "deliveries put aside"],
)


@pytest.mark.usefixtures("scheduled")
@by_claim
def test_scheduled_rows_do_not_slow_a_claim(
    claim: Callable[[], Any], indexes: tuple[str, ...]
) -> None:
    """The database itself counts: of what is not due it may read an entry or two."""
    everything = OutboxEvent.objects.order_by("available_at").values_list("available_at")
    assert entries_read(lambda: len(everything)) >= SCHEDULED, "The measure measures nothing."
    assert entries_read(claim) < FEW


@pytest.mark.usefixtures("scheduled")
@by_claim
def test_claim_beside_scheduled_rows_uses_the_indexes_over_what_waits(
    claim: Callable[[], Any], indexes: tuple[str, ...]
) -> None:
    plan = plan_of(claim)
    if connection.vendor == "mysql":
        # Before the index that it takes it names all that it could have taken.
        plan = re.sub(r"(\| (?:ref|range|index|ALL) \| )\S+ \| ", r"\1", plan)
    assert [index for index in indexes if not re.search(index, plan)] == [], plan
    # Nothing is read from end to end, nor sorted.
    assert not re.search(r"Seq Scan|SCAN eda_django_\w+(?! USING)$", plan, re.MULTILINE), plan
    assert not re.search(r"\| (ALL|index) \|", plan), plan
    assert not re.search(r"filesort|TEMP B-TREE|\bSort\b", plan), plan


@pytest.mark.usefixtures("scheduled")
def test_claims_beside_scheduled_rows_find_exactly_what_is_due() -> None:
    with transaction.atomic():
        assert lock_fresh() == FRESH
        assert claim_due() == CLAIMED
        assert release_scheduled() == DUE
        # With what was fresh before; and nothing else has become so.
        assert lock_fresh() == RELEASED + FRESH
        assert (claim_due(), release_scheduled()) == ([], 0)


@pytest.mark.usefixtures("scheduled")
def test_look_beside_scheduled_rows_sees_what_is_due_and_then_what_comes_next() -> None:
    outlook = look("default")
    assert outlook.fresh
    for since in (outlook.scheduled_in, outlook.due_in):
        assert since is not None
        assert -HOUR - 600 < since <= 1 - HOUR
    with transaction.atomic():
        claim_due()
        release_scheduled()
        OutboxEvent.objects.mark_relayed(RELEASED + FRESH)
    outlook = look("default")
    assert (outlook.must_fan_out, outlook.must_push) == (False, False)
    for wait in (outlook.scheduled_in, outlook.due_in):
        assert wait is not None
        assert HOUR - 600 < wait <= HOUR + 1
