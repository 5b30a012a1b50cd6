"""The relay's verbs of deliveries: each is guarded by state and claim."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from eda_django.chunks import Chunk
from eda_django.models import Delivery, NewDelivery, OutboxEvent, Status, claiming, outcomes
from eda_django.models.clock import after
from eda_django.models.delivery_insertion import FEW, TOGETHER
from tests.databases import vendor
from tests.delivery.claiming import LEASE, get, queued, settle
from tests.relaying import (
    happen,
    in_threads,
    make_due,
    on_happened,
    row_locks,
    seconds_until,
    statuses,
)


@pytest.mark.django_db
def test_new_deliveries_are_claimed_as_they_are_made() -> None:
    """One row version where two would do no more."""
    on_happened(lambda event: None)
    happen(10)
    rows = [
        Delivery(event=event, subscriber="t.sub", queue="q") for event in OutboxEvent.objects.all()
    ]
    chunks: list[Chunk] = Delivery.objects.create_queued(rows, size=4, lease=LEASE)
    assert [len(chunk.delivery_ids) for chunk in chunks] == [3, 3, 3, 1]
    for chunk in chunks:
        for row in Delivery.objects.filter(pk__in=chunk.delivery_ids):
            assert (row.status, row.token, row.attempts) == ("queued", chunk.token, 0)
            assert 20 < seconds_until(row.lease_until) <= LEASE


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_few_and_many_are_written_in_the_same_way(count: int) -> None:
    """The statements differ."""
    happen(count)
    events = list(OutboxEvent.objects.order_by("pk"))
    rows = [
        NewDelivery(event_id=event.pk, subscriber="it's %s 🎁", queue='"q\\', key=f"k%{event.pk}")
        for event in events
    ]
    chunks = Delivery.objects.create_queued(rows, size=25, lease=LEASE)
    found = list(Delivery.objects.order_by("event_id"))
    for new, row in zip(rows, found, strict=True):
        about = (row.event_id, row.subscriber, row.queue, row.key)
        assert about == (new.event_id, new.subscriber, new.queue, new.key)
        assert (row.status, row.attempts, row.isolated) == ("queued", 0, False)
        assert (row.error_class, row.error_text, row.fingerprint) == ("", "", "")
        assert 20 < seconds_until(row.lease_until) <= LEASE
    carried = {pk: chunk.token for chunk in chunks for pk in chunk.delivery_ids}
    assert carried == {row.pk: row.token for row in found}


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, TOGETHER + 1])
def test_few_and_many_that_are_due_later_are_written_in_the_same_way(
    count: int, django_assert_num_queries: Any
) -> None:
    """With one statement, also for several subscriptions."""
    happen(max(count, 1))
    events = list(OutboxEvent.objects.order_by("pk"))[:count]
    rows = [
        NewDelivery(
            event_id=e.pk,
            # The last of many is of another subscription.
            subscriber="b" if place == TOGETHER - 1 else "it's %s 🎁",
            queue='"q\\',
            key=f"k%{e.pk}",
        )
        for place, e in enumerate(events)
    ]
    with django_assert_num_queries(1 if rows else 0):
        Delivery.objects.create_pending(rows, seconds=60)
    found = list(Delivery.objects.order_by("event_id"))
    for new, row in zip(rows, found, strict=True):
        about = (row.event_id, row.subscriber, row.queue, row.key)
        assert about == (new.event_id, new.subscriber, new.queue, new.key)
        assert (row.status, row.attempts, row.isolated) == ("pending", 0, False)
        assert (row.token, row.lease_until) == (None, None)
        assert (row.error_class, row.error_text, row.fingerprint) == ("", "", "")
        assert 50 < seconds_until(row.due_at) <= 60


@pytest.mark.django_db
def test_ids_are_found_where_the_database_does_not_tell_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MySQL, not MariaDB, returns no ids of what it inserts."""
    happen(3)
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    events = list(OutboxEvent.objects.order_by("pk"))
    rows = [Delivery(event=e, subscriber=name, queue="q") for e in events for name in ("a", "b")]
    chunks = Delivery.objects.create_queued(rows, size=25, lease=LEASE)
    for chunk in chunks:
        found = Delivery.objects.filter(pk__in=chunk.delivery_ids)
        assert {(row.subscriber, row.token) for row in found} == {(chunk.subscriber, chunk.token)}
    assert sum(len(chunk.delivery_ids) for chunk in chunks) == 6


@pytest.mark.django_db
def test_claim_takes_what_is_due_the_longest_first() -> None:
    token, ids = queued(5)
    Delivery.objects.release(token, ids)
    for place, pk in enumerate(ids):
        Delivery.objects.filter(pk=pk).update(due_at=after(-10 * place if place < 4 else 60))
    chunks = Delivery.objects.claim_due(2, size=25, lease=LEASE, queues={})
    claimed = [pk for chunk in chunks for pk in chunk.delivery_ids]
    assert sorted(claimed) == [ids[2], ids[3]]
    assert (get(ids[3]).status, get(ids[3]).due_at) == ("queued", None)
    assert get(ids[3]).token in {chunk.token for chunk in chunks}
    # Its time limit, and what the console calls its job, go by it.
    assert {chunk.subscriber for chunk in chunks} == {get(ids[3]).subscriber}


@pytest.mark.django_db
@pytest.mark.parametrize("most", [2, 500])
def test_each_row_gets_the_token_and_the_queue_of_its_chunk(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "SQLITE_ROWS", most)
    queues = {
        "a": '\'q"\\,{}%s $."x" 🎁',
        "b": "mail",
        "c": "Mail",
        "d": "NULL",
        "e": "東" * 255,
    }
    happen(3)
    events = list(OutboxEvent.objects.all())
    rows = [NewDelivery(event_id=e.pk, subscriber=s, queue="old") for e in events for s in queues]
    Delivery.objects.create_pending(rows, seconds=-1)
    with transaction.atomic():
        chunks = Delivery.objects.claim_due(100, size=2, lease=LEASE, queues=queues)
    claims = {pk: (chunk.token, chunk.queue) for chunk in chunks for pk in chunk.delivery_ids}
    assert {chunk.queue for chunk in chunks} == set(queues.values())
    assert claims == {row.pk: (row.token, row.queue) for row in Delivery.objects.all()}
    assert statuses() == ["queued"] * len(rows)


@pytest.fixture
def latin_database(transactional_db: None) -> Iterator[None]:
    """A database whose default charset lacks letters that its tables have."""
    alter = f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])} "
    with connection.cursor() as cursor:
        cursor.execute(alter + "CHARACTER SET latin1")
        yield
        cursor.execute(alter + "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")


@pytest.mark.skipif(vendor() != "mariadb", reason="Only MariaDB has a charset for each database.")
@pytest.mark.usefixtures("latin_database")
def test_letters_that_the_database_lacks_by_default_are_kept() -> None:
    happen(FEW + 1)
    events = list(OutboxEvent.objects.all())
    rows = [NewDelivery(event_id=e.pk, subscriber="東", queue="日", key="本") for e in events]
    Delivery.objects.create_pending(rows, seconds=-1)
    with transaction.atomic():
        Delivery.objects.claim_due(100, size=25, lease=LEASE, queues={"東": "通知"})
    found = Delivery.objects.values_list("subscriber", "queue", "key").distinct()
    assert list(found) == [("東", "通知", "本")]


@pytest.mark.django_db
def test_what_is_not_pending_is_not_claimed() -> None:
    _, ids = queued(2)
    before = {pk: get(pk).token for pk in ids}
    claiming.claim("default", [(uuid4(), [get(pk) for pk in ids])], lease=LEASE)
    assert {pk: get(pk).token for pk in ids} == before


@pytest.mark.django_db
def test_claim_of_nothing_makes_no_chunk() -> None:
    assert Delivery.objects.claim_due(10, size=25, lease=LEASE, queues={}) == []


@row_locks
@pytest.mark.django_db(transaction=True)
def test_claim_skips_rows_locked_by_another_relay() -> None:
    """G12."""
    token, ids = queued(4)
    Delivery.objects.release(token, ids)
    make_due()

    def claim() -> set[int]:
        with transaction.atomic():
            chunks = Delivery.objects.claim_due(10, size=25, lease=LEASE, queues={})
        return {pk for chunk in chunks for pk in chunk.delivery_ids}

    with transaction.atomic():
        list(Delivery.objects.filter(pk__in=ids[:2]).select_for_update())
        (others,) = in_threads(claim)
    assert others == set(ids[2:])


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["running", "succeeded", "dead"])
def test_release_gives_back_only_what_was_not_started(status: str) -> None:
    token, (first, second) = queued(2)
    Delivery.objects.filter(pk=first).update(status=status)
    assert Delivery.objects.release(token, [first, second]) == 1
    assert statuses() == [status, "pending"]
    assert (get(second).token, get(second).attempts) == (None, 0)
    assert seconds_until(get(second).due_at) <= 0


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["release", "put_aside", "start", "lock_running", "settle"])
def test_who_lost_the_claim_changes_nothing(verb: str) -> None:
    """G3: the fence."""
    token, (pk,) = queued()
    if verb in ("lock_running", "settle"):
        Delivery.objects.start(pk, token=token, lease=LEASE)
    before = Delivery.objects.values().get()
    stale = uuid4()
    rows = Delivery.objects
    outcome = {
        "release": lambda: rows.release(stale, [pk]),
        "put_aside": lambda: rows.put_aside(stale, [pk], kind="k", reason="r", seconds=1.0),
        "start": lambda: rows.start(pk, token=stale, lease=LEASE),
        "lock_running": lambda: rows.lock_running(pk, token=stale),
        "settle": lambda: settle(pk, outcomes.succeeded(), token=stale),
    }[verb]()
    assert not outcome
    assert Delivery.objects.values().get() == before


@pytest.mark.django_db
def test_what_is_put_aside_keeps_its_attempts_and_says_why() -> None:
    """G10."""
    token, (pk,) = queued()
    assert Delivery.objects.put_aside(token, [pk], kind="K", reason="a\x00" + "b" * 5000, seconds=9)
    row = get(pk)
    assert (row.status, row.attempts, row.error_class) == ("pending", 0, "K")
    assert row.error_text.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(row.error_text) <= outcomes.MAX_REASON
    assert 0 < seconds_until(row.due_at) <= 9


@pytest.mark.django_db
def test_what_was_put_aside_is_let_go_in_batches_and_nothing_else() -> None:
    token, ids = queued(6)
    Delivery.objects.put_aside(token, ids[:3], kind="K", reason="r", seconds=60)
    Delivery.objects.put_aside(token, ids[3:4], kind="other", reason="r", seconds=60)
    Delivery.objects.put_aside(token, ids[4:5], kind="K", reason="r", seconds=60)
    Delivery.objects.filter(pk=ids[4]).update(subscriber="t.unknown")

    def retry(within: float) -> int:
        return int(Delivery.objects.retry_known("K", ["t.sub"], within=within, limit=2))

    assert [retry(30), retry(60), retry(60), retry(60)] == [0, 2, 1, 0]
    assert list(Delivery.objects.due().values_list("pk", flat=True).order_by("pk")) == ids[:3]


@pytest.mark.django_db
def test_unfinished_and_dead_are_told_apart() -> None:
    _, ids = queued(5)
    ends = (Status.RUNNING, Status.SUCCEEDED, Status.DISCARDED, Status.DEAD)
    for pk, status in zip(ids, ends, strict=False):
        Delivery.objects.filter(pk=pk).update(status=status)
    assert list(Delivery.objects.dead().values_list("pk", flat=True)) == [ids[3]]
    unfinished = Delivery.objects.unfinished().order_by("pk").values_list("pk", flat=True)
    assert list(unfinished) == [ids[0], ids[4]]
