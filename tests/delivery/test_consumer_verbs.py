"""The consumer's verbs of deliveries: each is guarded by state and claim."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, transaction

from eda_django.failures import Failure, describe
from eda_django.models import Attempt, Delivery, outcomes
from eda_django.models.clock import after
from tests.delivery.claiming import LEASE, get, queued, settle
from tests.relaying import (
    Statements,
    row_locks,
    seconds_until,
    statuses,
)


def failure(text: str = "it failed") -> Failure:
    return describe(RuntimeError(text))


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
def test_settling_the_last_starts_nothing() -> None:
    """Not even the delivery with the first of all numbers."""
    token, ids = queued(2)
    Delivery.objects.filter(pk=min(ids)).update(id=1)
    last = max(ids)
    Delivery.objects.start(last, token=token, lease=LEASE)
    assert settle(last, outcomes.succeeded(), token=token) == 1
    assert (get(1).status, get(1).attempts) == ("queued", 0)


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
