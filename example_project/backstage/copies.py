"""Delivering an order's events once more, as a broken network might: nothing may come of it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import django_rq
from django.db import DEFAULT_DB_ALIAS
from rq.job import Job, JobStatus

from eda_django.chunks import JOB
from eda_django.models import Delivery, OutboxEvent
from example_project.services import BY_NAME

# Seconds that a copy's result stays in Redis, for the page to tell.
KEPT = 3600
VERDICTS = {
    None: "waits for its worker",
    0: "taken, and passed over: this was done already",
    1: "came before the first one, and did the work in its place",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A second job for a delivery, and what came of it."""

    service: str
    what: str
    event: str
    attempts: int
    started: int | None

    @property
    def verdict(self) -> str:
        return VERDICTS.get(self.started, "failed")

    def as_json(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "what": self.what,
            "event": self.event,
            "attempts": self.attempts,
            "verdict": self.verdict,
        }


def deliveries_of(order_id: UUID) -> list[Delivery]:
    """Return every delivery that an order has caused, in the order of the events."""
    first = OutboxEvent.objects.filter(type="orders.order_placed", idempotency_key=str(order_id))
    rows = Delivery.objects.filter(event__correlation_id=first.values("correlation_id")[:1])
    return list(rows.select_related("event").order_by("event_id", "pk"))


def send(order_id: UUID, number: str) -> int:
    """Push a copy of the job of each delivery; return how many. Raises redis.RedisError."""
    count = 0
    for row in deliveries_of(order_id):
        if row.token is None:
            continue
        # What the relay has pushed before, but for the time limit, under another job id.
        django_rq.get_queue(row.queue, commit_mode="auto").enqueue(
            JOB,
            [row.pk],
            token=row.token.hex,
            using=DEFAULT_DB_ALIAS,
            job_id=_job_id(number, row),
            result_ttl=KEPT,
            description=f"a copy of delivery {row.pk}, on purpose",
        )
        count += 1
    return count


def found(order_id: UUID, number: str) -> list[Copy]:
    """Return what came of the copies of this number so far. Raises redis.RedisError."""
    rows = [row for row in deliveries_of(order_id) if row.token]
    connection = django_rq.get_connection("default")
    jobs = Job.fetch_many([_job_id(number, row) for row in rows], connection=connection)
    return [_copy(row, job) for row, job in zip(rows, jobs, strict=True) if job]


def _copy(row: Delivery, job: Job) -> Copy:
    status = job.get_status(refresh=False)
    result = job.return_value() if status == JobStatus.FINISHED else None
    return Copy(
        service=BY_NAME[row.queue].title,
        what=row.subscriber.rpartition(".")[2].replace("_", " "),
        event=row.event.type,
        attempts=row.attempts,
        started=-1 if status == JobStatus.FAILED else result,
    )


def _job_id(number: str, row: Delivery) -> str:
    return f"copy-{number}-{row.pk}"
