"""The verbs of relays, workers and operators wait for no subscriber and no publisher (G4, G12)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from eda_django.models import BulkOperation, Delivery, OutboxEvent, outcomes
from eda_django.models.locking import writing
from eda_django.models.selection import Selection
from eda_django.relay import Relay
from eda_django.verdicts import LATE
from tests.bulk import fill_deliveries, fill_events, in_seconds, settle
from tests.impatience import LEVELS, impatient
from tests.relaying import HAPPENED, Recorder, happen, on_happened, row_locks

pytestmark = [row_locks, pytest.mark.django_db(transaction=True)]

# MariaDB takes another plan for each.
SIZES = [3, 30, 300]
TOKEN = UUID(int=1)
# Of deliveries, as expressions.
Columns = dict[str, Any]
QUEUED: Columns = {"status": "'queued'", "token": f"'{TOKEN.hex}'", "lease_until": in_seconds("-1")}
RUNNING = QUEUED | {"status": "'running'"}
PENDING: Columns = {"status": "'pending'", "attempts": "1", "due_at": in_seconds("3600")}
UNKNOWN = PENDING | {"error_class": "'eda_django.UnknownSubscriber'"}
DUE: Columns = {"status": "'pending'", "due_at": in_seconds("-1")}
DEAD: Columns = {"status": "'dead'", "attempts": "20", "finished_at": in_seconds("-1")}
# Of events.
FRESH: Columns = {"relayed_at": "NULL"}
ASIDE = FRESH | {"available_at": in_seconds("3600"), "error": "'unknown'"}
SCHEDULED = FRESH | {"available_at": in_seconds("-1")}


def claim(size: int) -> int:
    chunks = Delivery.objects.claim_due(size, size=25, lease=30.0, queues={})
    return sum(len(chunk.delivery_ids) for chunk in chunks)


def fan_out(size: int) -> int:
    return Relay(transport=Recorder(), batch_size=size).fan_out()


def requeue(size: int) -> int:
    return int(Delivery.objects.requeue(list(among(size))))


def operate(size: int) -> int:
    BulkOperation.objects.begin("discard", Selection(status=""), operator="a", reason="r")
    operation = BulkOperation.objects.step(size)
    assert operation
    return operation.changed


def resend(size: int) -> int:
    assert OutboxEvent.objects.take_to_resend(1, OutboxEvent.objects.get(pk=1).relayed_at)
    return len(Delivery.objects.resend(1, {"t.bulk": "q"}).again) * size


def start(size: int) -> int:
    return sum(Delivery.objects.start(pk, token=TOKEN, lease=30.0) for pk in numbers(size))


def end(size: int) -> int:
    failed = outcomes.pending(0)
    return sum(
        Delivery.objects.settle(pk, failed, token=TOKEN, then=None, lease=30.0)
        for pk in numbers(size)
    )


def put_aside(size: int) -> int:
    reason: dict[str, Any] = {"kind": "k", "reason": "r", "seconds": 60.0}
    return int(Delivery.objects.put_aside(TOKEN, numbers(size), **reason))


def put_events_aside(size: int) -> int:
    OutboxEvent.objects.put_aside(numbers(size), error="x", seconds=60)
    return OutboxEvent.objects.set_aside().count()


def among(size: int) -> Any:
    return Delivery.objects.filter(pk__in=numbers(size))


def numbers(size: int) -> list[int]:
    return list(range(1, size + 1))


# A verb, done to so many rows; and the columns, of deliveries or of events, that make them fit.
Case = tuple[Callable[[int], int], Columns, Columns]
VERBS: dict[str, Case] = {
    "fan_out": (fan_out, {}, FRESH),
    "release_scheduled": (OutboxEvent.objects.release_scheduled, {}, SCHEDULED),
    "put_events_aside": (put_events_aside, {}, FRESH),
    "retry_known_events": (
        lambda size: OutboxEvent.objects.retry_known([HAPPENED], within=LATE, limit=size),
        {},
        ASIDE,
    ),
    "claim_due": (claim, DUE, {}),
    "release": (lambda size: Delivery.objects.release(TOKEN, numbers(size)), QUEUED, {}),
    "put_aside": (put_aside, QUEUED, {}),
    "requeue": (requeue, QUEUED, {}),
    "retry_known": (
        lambda size: Delivery.objects.retry_known(
            "eda_django.UnknownSubscriber", ["t.bulk"], within=LATE, limit=size
        ),
        UNKNOWN,
        {},
    ),
    "start": (start, QUEUED, {}),
    "settle": (end, RUNNING, {}),
    "retry": (lambda size: len(among(size).retry()), DEAD, {}),
    "retry_now": (lambda size: len(among(size).retry_now()), PENDING, {}),
    "discard": (lambda size: len(among(size).discard("r")), DEAD, {}),
    "operate": (operate, DEAD, {}),
    "resend": (resend, DEAD, {}),
}


# Those for many deliveries: one of these may be in a worker's hands by now.
MANY = ["claim_due", "release", "put_aside", "requeue", "retry_known"]
MANY += ["retry", "retry_now", "discard", "operate"]


@contextmanager
def others_at_work(pk: int) -> Iterator[None]:
    """Have a subscriber run, and a publisher's transaction open."""
    assert Delivery.objects.start(pk, token=TOKEN, lease=30.0)
    with transaction.atomic():
        assert Delivery.objects.lock_running(pk, token=TOKEN)
        Delivery.objects.filter(pk=pk).update(error_text="held")
        happen(1)
        yield


def do(verb: Callable[[int], int], size: int, level: str) -> int:
    """Do it in a session that gives up where it would wait."""
    with impatient(level):
        if verb is fan_out:
            return verb(size)
        with writing("default"):
            return verb(size)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", VERBS)
def test_verb_waits_for_nobody(name: str, size: int, level: str) -> None:
    """G4: InnoDB waits for whatever row an UPDATE looks at."""
    verb, columns, event = VERBS[name]
    fill_events(size, type=f"'{HAPPENED}'", **{"relayed_at": in_seconds("-60"), **event})
    if columns:
        fill_deliveries(size, **{"subscriber": "'t.bulk'", **columns})
    fill_events(1, first=size + 1, relayed_at=in_seconds("-60"))
    fill_deliveries(1, first=size + 1, **QUEUED)
    settle()
    on_happened(lambda event: None)
    # The pool ends last: whoever does wait goes on when the lock is gone.
    with ThreadPoolExecutor(1) as pool, others_at_work(size + 1):
        assert pool.submit(do, verb, size, level).result(60) == size


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MANY)
def test_verb_does_not_wait_for_one_of_its_own_that_a_worker_has_started(
    name: str, size: int, level: str
) -> None:
    """G4: a relay that didn't hear of the push's arrival gives back what a subscriber has."""
    verb, columns, event = VERBS[name]
    fill_events(size, type=f"'{HAPPENED}'", **{"relayed_at": in_seconds("-60"), **event})
    fill_deliveries(size - 1, **{"subscriber": "'t.bulk'", **columns})
    fill_deliveries(1, first=size, **{"subscriber": "'t.bulk'", **QUEUED})
    settle()
    with ThreadPoolExecutor(1) as pool, others_at_work(size):
        assert pool.submit(do, verb, size, level).result(60) == size - 1
