"""The verbs of deliveries: each is guarded by state and claim."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction

from eda_django.chunks import Chunk
from eda_django.failures import Failure, describe
from eda_django.models import Attempt, Delivery, OutboxEvent, Status, outcomes
from eda_django.models.clock import after
from tests.relaying import (
    Statements,
    happen,
    in_threads,
    make_due,
    on_happened,
    relayed,
    row_locks,
    seconds_until,
    statuses,
)

LEASE = 30.0


def failure(text: str = "it failed") -> Failure:
    return describe(RuntimeError(text))


def queued(count: int = 1) -> tuple[UUID, list[int]]:
    """Make deliveries that are queued under one claim."""
    on_happened(lambda event: None)
    ids = relayed(count).ids
    token = uuid4()
    Delivery.objects.update(token=token)
    return token, ids


def settle(pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None = None) -> int:
    return int(Delivery.objects.settle(pk, outcome, token=token, then=then, lease=LEASE))


def get(pk: int) -> Delivery:
    found: Delivery = Delivery.objects.get(pk=pk)
    return found


# What can't be


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"status": "pending"},
        {"token": None},
        {"lease_until": None},
        {"status": "running", "lease_until": None},
    ],
)
def test_row_that_nobody_would_look_at_can_not_be_stored(change: dict[str, Any]) -> None:
    """G2: not by hand either: what waits has a time, what is claimed has a lease."""
    queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.update(**change)


@pytest.mark.django_db
def test_second_delivery_of_an_event_for_a_subscriber_can_not_be_stored() -> None:
    queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(
            event=OutboxEvent.objects.get(), subscriber="t.sub", queue="q", due_at=after(0)
        )


@pytest.mark.django_db
def test_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", "eda_django", "testapp", check=True, dry_run=True, verbosity=0)


def test_delivery_is_shown_by_its_subscriber_and_job() -> None:
    row = Delivery(pk=7, subscriber="a.b")
    assert (str(row), row.job_id) == ("a.b 7", "")
    row.token = UUID(int=1)
    assert row.job_id == f"eda-{UUID(int=1).hex}"


# The relay's verbs


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

    def retry() -> int:
        return int(Delivery.objects.retry_known("K", ["t.sub"], limit=2))

    assert [retry(), retry(), retry()] == [2, 1, 0]
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


# The consumer's verbs


@row_locks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ends", [outcomes.succeeded(), outcomes.pending(0)], ids=["done", "again"])
def test_settling_waits_for_no_other_workers_row(ends: dict[str, Any]) -> None:
    """G4: InnoDB waits for what it reads, by whatever index it finds the row."""
    token, (held, mine, following) = queued(3)
    for pk in (held, mine):
        assert Delivery.objects.start(pk, token=token, lease=LEASE)

    def end() -> int:
        try:
            with transaction.atomic():
                return settle(mine, ends, token=token, then=following)
        finally:
            connections.close_all()

    # The pool ends last: who does wait goes on when the lock is gone.
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        assert Delivery.objects.lock_running(held, token=token)
        # As a subscriber's transaction, which has written its row, too.
        Delivery.objects.filter(pk=held).update(error_text="held")
        assert pool.submit(end).result(30) == 2


@pytest.mark.django_db
def test_start_counts_one_attempt_and_can_not_be_repeated() -> None:
    """G4: durably, and once."""
    token, (pk,) = queued()
    assert Delivery.objects.start(pk, token=token, lease=LEASE)
    assert not Delivery.objects.start(pk, token=token, lease=LEASE)
    row = get(pk)
    assert (row.status, row.attempts) == ("running", 1)
    assert seconds_until(row.started_at) <= 0 < seconds_until(row.lease_until)


@pytest.mark.django_db(transaction=True)
def test_settling_one_and_starting_the_next_is_one_statement() -> None:
    token, (first, second) = queued(2)
    Delivery.objects.start(first, token=token, lease=LEASE)
    with Statements() as captured:
        assert settle(first, outcomes.succeeded(), token=token, then=second) == 2
    assert len(captured.texts) == 1
    done, running = get(first), get(second)
    assert (done.status, done.attempts, done.lease_until) == ("succeeded", 1, None)
    assert seconds_until(done.finished_at) <= 0
    assert (running.status, running.attempts, running.finished_at) == ("running", 1, None)
    assert seconds_until(running.lease_until) > 20
    assert running.token == token


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (outcomes.succeeded(), {"status": "succeeded", "attempts": 1, "error_text": ""}),
        (outcomes.dead(failure()), {"status": "dead", "attempts": 1, "error_text": "it failed"}),
        (
            outcomes.failed(failure(), seconds=60, isolated=True),
            {"status": "pending", "attempts": 1, "isolated": True, "token": None},
        ),
        (
            outcomes.deferred(failure("later"), seconds=60, attempts=1),
            {"status": "pending", "attempts": 0, "error_text": "later"},
        ),
        (outcomes.discarded(failure("no")), {"status": "discarded", "error_text": "no"}),
    ],
)
def test_every_outcome_leaves_the_next_delivery_as_if_it_had_been_started_alone(
    outcome: dict[str, Any], expected: dict[str, Any]
) -> None:
    """MySQL assigns from left to right: no column may depend on another's new value."""
    token, (first, second) = queued(2)
    Delivery.objects.start(first, token=token, lease=LEASE)
    assert settle(first, outcome, token=token, then=second) == 2
    row, following = get(first), get(second)
    assert {name: getattr(row, name) for name in expected} == expected
    assert (following.status, following.attempts) == ("running", 1)
    assert (following.error_class, following.error_text, following.isolated) == ("", "", False)
    assert (following.token, following.due_at) == (token, None)


@pytest.mark.django_db
@pytest.mark.parametrize(("first_held", "second_held"), [(True, False), (False, True)])
def test_either_half_of_a_settle_is_guarded_by_itself(first_held: bool, second_held: bool) -> None:
    token, (first, second) = queued(2)
    Delivery.objects.start(first, token=token, lease=LEASE)
    Delivery.objects.filter(pk=second if first_held else first).update(token=uuid4())
    assert settle(first, outcomes.succeeded(), token=token, then=second) == 1
    assert statuses() == [
        "succeeded" if first_held else "running",
        "running" if second_held else "queued",
    ]


@pytest.mark.django_db
def test_longest_error_fits_the_row() -> None:
    """G4: the whole text is kept with the attempt."""
    token, (pk,) = queued()
    Delivery.objects.start(pk, token=token, lease=LEASE)
    long = failure("x" * 100_000)
    assert settle(pk, outcomes.dead(long), token=token) == 1
    assert len(get(pk).error_text) <= outcomes.MAX_REASON
    Attempt.objects.create(
        delivery_id=pk,
        number=1,
        worker="w",
        finished_at=after(0),
        error_class=long.kind,
        error_text=long.text,
        traceback=long.traceback,
    )
