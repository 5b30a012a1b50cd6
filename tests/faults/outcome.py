"""What became of the events in the end: their effects, attempts and failures, and what RQ keeps.

Events are told by their number in the outbox, from one. `using` is where it is.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import django_rq
from django.db import DEFAULT_DB_ALIAS
from rq.job import Job

from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from tests.integration import ordering
from tests.relaying import lapse
from tests.testapp.models import Effect
from tests.waiting import eventually

QUEUES = ("default", "slow")
# What every event of a kind leaves behind: by whom, and its note.
NOTES = {
    "faults.happened": (
        ("faults.pair", "first"),
        ("faults.pair", "second"),
        ("faults.bystander", "only"),
    ),
    "faults.bare": (("faults.bare", "first"), ("faults.bare", "second")),
    "faults.met": (("faults.meeting", "first"), ("faults.meeting", "second")),
    "faults.hooked": (("faults.hooked", "written"), ("faults.hooked", "hook")),
}


def subscribers(kind: str) -> int:
    return len({subscriber for subscriber, _ in NOTES[kind]})


def expected_effects(
    kind: str,
    events: int,
    *,
    doubled: Iterable[tuple[int, str]] = (),
    missing: Iterable[tuple[int, str]] = (),
) -> Counter[tuple[str, int, str]]:
    """Return what so many events leave behind: all once, but for these."""
    names = {note: name for name, note in NOTES[kind]}
    expected = Counter(
        (name, number, note) for number in range(1, events + 1) for name, note in NOTES[kind]
    )
    expected.update((names[note], n, note) for n, note in doubled)
    expected.subtract((names[note], n, note) for n, note in missing)
    return +expected


def lapse_queued(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Let the leases end of what no worker has started: the relay asks where it is."""
    lapse(Delivery.objects.using(using).all(), Status.QUEUED)


def come_to_rest(kind: str, events: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Wait until everything is settled, and RQ has nothing more to do."""
    total = events * subscribers(kind)
    eventually(lambda: ordering.settled(total, using=using))
    eventually(lambda: not any(queue.job_ids for queue in queues()))


def check(
    kind: str,
    events: int,
    *,
    failed: dict[int, str] | None = None,
    doubled: Iterable[tuple[int, str]] = (),
    left: dict[str, int] | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Nothing is lost, nothing doubled, attempts are counted right, no job is left in Redis.

    `failed` has the events of which one delivery failed once, each with the error's class.
    """
    failed = failed or {}
    come_to_rest(kind, events, using=using)
    outbox = OutboxEvent.objects.using(using)
    assert (outbox.count(), outbox.filter(relayed_at=None).count()) == (events, 0)
    assert ordering.statuses(using=using) == {Status.SUCCEEDED: events * subscribers(kind)}
    assert effects(using=using) == expected_effects(kind, events, doubled=doubled)
    assert failures(using=using) == {number: (1, error) for number, error in failed.items()}
    assert attempts(using=using) == dict.fromkeys(failed, 2)
    eventually(lambda: jobs_left() == (left or {}), f"{left or {}} and not {jobs_left()} in RQ")


def queues() -> list[Any]:
    return [django_rq.get_queue(name) for name in QUEUES]


def pushed() -> Counter[int]:
    """Return in how many jobs of the queues each delivery is."""
    found: Counter[int] = Counter()
    for queue in queues():
        for job in Job.fetch_many(queue.job_ids, connection=queue.connection):
            if job:
                found.update(job.args[0])
    assert set(found) <= set(Delivery.objects.values_list("pk", flat=True))
    return found


def each_waits_in_one_job() -> bool:
    """Return whether whatever is not finished waits in the queues, and none of it twice."""
    return pushed() == Counter(Delivery.objects.unfinished().values_list("pk", flat=True))


def jobs_left() -> dict[str, int]:
    """Return what RQ still knows of jobs: how many, and where."""
    found: Counter[str] = Counter()
    known: set[str] = set()
    for queue in queues():
        places = {
            "queue": queue.job_ids,
            "intermediate": queue.intermediate_queue.get_job_ids(),
            "started": queue.started_job_registry.get_job_ids(cleanup=False),
            "failed": queue.failed_job_registry.get_job_ids(cleanup=False),
        }
        for place, ids in places.items():
            found[place] += len(ids)
            known.update(ids)
    client = queue.connection
    for key in client.keys("rq:job:eda-*"):
        if client.ttl(key) == -1 and key.decode().split(":")[2] not in known:
            found["nowhere"] += 1
    return dict(+found)


def jobs_that_failed() -> dict[str, int]:
    """Wait until RQ keeps no jobs but those it saw fail; return that as jobs_left() does.

    A job that broke off stays among RQ's failed ones for a day. That is for people to see; its
    deliveries go again in another job.
    """
    eventually(lambda: set(jobs_left()) <= {"failed"}, f"nothing but failed jobs: {jobs_left()}")
    return jobs_left()


def numbers(*, using: str = DEFAULT_DB_ALIAS) -> dict[int, int]:
    """Return the number of each event, by its primary key."""
    keys = OutboxEvent.objects.using(using).order_by("pk").values_list("pk", flat=True)
    return {pk: number for number, pk in enumerate(keys, 1)}


def numbers_of(behave: str) -> list[int]:
    """Return the numbers of the events whose subscriber is told so."""
    rows = OutboxEvent.objects.filter(data__behave=behave).values_list("pk", flat=True)
    return sorted(numbers()[pk] for pk in rows)


def effects(*, using: str = DEFAULT_DB_ALIAS) -> Counter[tuple[str, int, str]]:
    ids = OutboxEvent.objects.using(using).order_by("pk").values_list("event_id", flat=True)
    number = {event_id: n for n, event_id in enumerate(ids, 1)}
    rows = Effect.objects.using(using).values_list("subscriber", "event_id", "note")
    return Counter((subscriber, number[event], note) for subscriber, event, note in rows)


def attempts(*, using: str = DEFAULT_DB_ALIAS) -> dict[int, int]:
    """Return the attempts of every delivery that took another number of them than one."""
    rows = Delivery.objects.using(using).exclude(attempts=1).values_list("event_id", "attempts")
    return {numbers(using=using)[pk]: attempts for pk, attempts in rows}


def failures(*, using: str = DEFAULT_DB_ALIAS) -> dict[int, tuple[int, str]]:
    """Return number and class of every attempt that is recorded as failed, by its event."""
    kept = Attempt.objects.using(using)
    rows = kept.values_list("delivery__event_id", "number", "error_class")
    found = {numbers(using=using)[pk]: (number, kind) for pk, number, kind in rows}
    assert len(found) == len(rows)
    return found


def isolated() -> set[int]:
    rows = Delivery.objects.filter(isolated=True).values_list("event_id", flat=True)
    return {numbers()[pk] for pk in rows}
