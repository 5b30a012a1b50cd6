"""The database's clock, by which everything is due (G11)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import override_settings
from django.utils import timezone

from eda_django import Retry, event
from eda_django.models import Attempt, Delivery, OutboxEvent, RelayHeartbeat
from eda_django.models.clock import DatabaseNow, after
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.faults import clocks
from tests.relaying import (
    HAPPENED,
    Recorder,
    happen,
    lapse_leases,
    make_due,
    on_happened,
    relayed,
    statuses,
    write,
)

HOUR = 3600.0


def beat(at: Any) -> RelayHeartbeat:
    """Store a time, and return the row as it is read back."""
    row = RelayHeartbeat(
        name=f"r{RelayHeartbeat.objects.count()}", pid=1, started_at=at, beat_at=at
    )
    row.save(force_insert=True)
    return RelayHeartbeat.objects.get(pk=row.pk)


@pytest.mark.django_db
def test_time_of_the_database_is_stored_and_read_as_utc() -> None:
    """G11: also where the session's or Django's time zone is another (here: Berlin)."""
    off = abs(beat(DatabaseNow()).beat_at - datetime.now(UTC))
    assert off < timedelta(seconds=10)


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [-90_000.5, -1, 0.001, 30, 86_400])
def test_after_is_so_many_seconds_from_now(seconds: float) -> None:
    row = beat(after(seconds))
    expected = timezone.now() + timedelta(seconds=seconds)
    assert abs(row.beat_at - expected) < timedelta(seconds=10)


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [0.02, 0.25, 1, 60, 3600, 86_400 * 40])
def test_stored_times_and_the_time_now_compare_in_order(seconds: float) -> None:
    """SQLite compares texts: with and without microseconds they must still be in order."""
    beat(after(-seconds))
    beat(after(60 + seconds))
    past = RelayHeartbeat.objects.filter(beat_at__lte=DatabaseNow())
    assert list(past.values_list("name", flat=True)) == ["r0"]


@pytest.mark.django_db
def test_what_is_due_now_is_due_at_once() -> None:
    """G11: within the same instant too, or a relay that drains would stop before the end."""
    beat(DatabaseNow())
    asked = RelayHeartbeat.objects.annotate(now=DatabaseNow(), due=after(0), then=after(0.001))
    # In one statement, because SQLite's clock stands still for as long as that takes.
    assert asked.filter(due__lte=F("now")).exists()
    assert not asked.filter(then__lte=F("now")).exists()


@pytest.mark.django_db
def test_whole_seconds_that_python_stored_compare_in_order() -> None:
    """Django writes a whole second without a fraction, the database's clock with one."""
    now = timezone.now().replace(microsecond=0)
    for offset in (-2, -1, 3, 4):
        beat(now + timedelta(seconds=offset))
    past = RelayHeartbeat.objects.filter(beat_at__lte=DatabaseNow())
    assert set(past.values_list("name", flat=True)) == {"r0", "r1"}


@pytest.mark.django_db(transaction=True)
def test_time_goes_on_inside_a_transaction() -> None:
    """A transaction that waited for a lock must not reckon by when it began."""
    with transaction.atomic():
        first = beat(DatabaseNow()).beat_at
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        while beat(DatabaseNow()).beat_at <= first:
            assert datetime.now(UTC) < deadline


@pytest.mark.django_db
def test_clock_is_utc_whatever_the_session_says() -> None:
    zone = {
        "postgresql": "SET TIME ZONE 'Asia/Tokyo'",
        "mysql": "SET time_zone = '+09:00'",
        # SQLite has no such setting.
        "sqlite": "SELECT 1",
    }
    with connection.cursor() as cursor:
        cursor.execute(zone[connection.vendor])
    try:
        with override_settings(TIME_ZONE="America/New_York"):
            off = abs(beat(DatabaseNow()).beat_at - datetime.now(UTC))
    finally:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET TIME ZONE 'UTC'")
            elif connection.vendor == "mysql":
                cursor.execute("SET time_zone = SYSTEM")
    assert off < timedelta(seconds=10)


@pytest.mark.django_db
def test_no_time_is_reckoned_by_python_inside_the_database() -> None:
    """On SQLite, Django would; an alarm that came there would be taken for SQLite's error."""
    rows = RelayHeartbeat.objects.filter(beat_at__lt=after(-5)).annotate(then=after(5))
    assert "django_format_dtdelta" not in str(rows.query)


@pytest.mark.django_db
def test_the_smallest_time_is_a_time() -> None:
    """SQLite writes it as 1.0e-06, which is no number of seconds to its clock."""
    assert beat(after(0.000_001)).beat_at


@pytest.fixture(params=[HOUR, -HOUR], ids=["ahead", "behind"])
def _wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this host's clock be an hour wrong."""
    before = timezone.now()
    clocks.shift(request.param, monkeypatch.setattr)
    assert abs((timezone.now() - before).total_seconds() - request.param) < 60


wrong_clock = pytest.mark.usefixtures("_wrong")


def due_within(column: str, seconds: float) -> int:
    """Return how many deliveries have this time to come, and so soon, by the database's clock."""
    span = {f"{column}__gt": DatabaseNow(), f"{column}__lte": after(seconds)}
    return int(Delivery.objects.filter(**span).count())


def fail(seen: Any) -> None:
    raise LookupError


@dataclass
class Number:
    number: int


@wrong_clock
@pytest.mark.django_db
def test_claim_and_its_lease_go_by_the_clock_of_the_database() -> None:
    """G11: a new event and one that is due are claimed at once, for as long as a lease."""
    on_happened(write)
    transport = relayed(2)
    assert due_within("lease_until", 30) == 2
    Delivery.objects.release(transport.chunks[0].token, transport.chunks[0].delivery_ids)
    again = Recorder()
    relay = Relay(transport=again)
    relay.drain()
    assert again.ids == list(transport.chunks[0].delivery_ids)
    assert due_within("lease_until", 30) == 2
    # Nothing has lapsed, so that nobody is asked about.
    assert again.asked == []
    transport.chunks += again.chunks
    assert transport.work() == 2


@wrong_clock
@pytest.mark.django_db
def test_lost_worker_is_missed_when_its_lease_is_over_by_the_clock_of_the_database() -> None:
    """G11."""
    on_happened(write)
    (chunk,) = relayed(1).chunks
    assert Delivery.objects.start(chunk.delivery_ids[0], token=chunk.token, lease=30.0)
    assert due_within("lease_until", 30) == 1
    Relay(transport=Recorder()).drain()
    assert statuses() == ["running"]
    lapse_leases()
    Relay(transport=Recorder()).drain()
    assert Attempt.objects.count() == 1


@wrong_clock
@pytest.mark.django_db
def test_retry_is_due_by_the_clock_of_the_database() -> None:
    """G11."""
    on_happened(fail, retry=Retry(base=20.0, jitter=0.0))
    relayed(1).work()
    assert due_within("due_at", 20) == 1
    transport = Recorder()
    relay = Relay(transport=transport)
    relay.drain()
    assert transport.chunks == []
    make_due()
    relay.drain()
    assert len(transport.chunks) == 1


@wrong_clock
@pytest.mark.django_db
def test_pruning_goes_by_the_clock_of_the_database(settings: Any) -> None:
    """G11: what was fanned out half an hour ago is kept for an hour, and no longer."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(hours=1)}
    on_happened(write)
    relayed(2).work()
    young, old = OutboxEvent.objects.order_by("pk")
    OutboxEvent.objects.filter(pk=young.pk).update(relayed_at=after(-HOUR / 2))
    OutboxEvent.objects.filter(pk=old.pk).update(relayed_at=after(-HOUR * 1.5))
    Relay(transport=Recorder()).prune()
    assert OutboxEvent.objects.get() == young


@wrong_clock
@pytest.mark.django_db
def test_event_that_was_set_aside_is_due_by_the_clock_of_the_database() -> None:
    """G10, G11."""
    happen()
    relay = Relay(transport=Recorder())
    relay.drain()
    waiting = OutboxEvent.objects.filter(relayed_at=None, available_at__gt=DatabaseNow())
    assert waiting.filter(available_at__lte=after(60)).exists()


elsewhere = pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])


@elsewhere
@pytest.mark.django_db
def test_fresh_event_that_nobody_knows_waits_a_minute_whatever_its_publishers_clock(
    off: float,
) -> None:
    """G10, G11."""
    happen()
    OutboxEvent.objects.update(time=after(off))
    Relay(transport=Recorder()).drain()
    waiting = OutboxEvent.objects.filter(available_at__gt=DatabaseNow())
    assert waiting.filter(available_at__lte=after(60)).exists()


@elsewhere
@pytest.mark.parametrize("what", ["subscriber", "payload"])
@pytest.mark.django_db
def test_fresh_delivery_for_newer_code_waits_a_minute_whatever_its_publishers_clock(
    off: float, what: str
) -> None:
    """G10, G11."""
    on_happened(write)
    transport = relayed(1)
    OutboxEvent.objects.update(time=after(off))
    if what == "subscriber":
        registry.remove("t.sub")
    else:
        event(HAPPENED, version=1)(Number)
        OutboxEvent.objects.update(version=2)
    assert transport.work() == 0
    assert due_within("due_at", 60) == 1
