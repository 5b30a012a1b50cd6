"""Deliveries in plain Python: what the verbs must come to."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from eda_django.failures import lost_worker
from eda_django.models import Status, outcomes

LEASE = 600.0
FAILURE = lost_worker()


@dataclass
class Row:
    """What the model knows of a delivery."""

    status: Status = Status.QUEUED
    token: UUID | None = None
    attempts: int = 0
    is_due: bool = False
    is_lapsed: bool = False
    is_isolated: bool = False
    error: str = ""

    def leave(self, status: Status, *, is_due: bool = False) -> None:
        """Give up the claim; what has ended keeps its token."""
        self.status, self.is_due, self.is_lapsed = status, is_due, False
        if status == Status.PENDING:
            self.token = None

    def start(self) -> None:
        self.status, self.is_lapsed = Status.RUNNING, False
        self.attempts += 1


def succeed(row: Row) -> None:
    row.leave(Status.SUCCEEDED)


def discard(row: Row) -> None:
    row.leave(Status.DISCARDED)
    row.error = FAILURE.kind


def die(row: Row) -> None:
    row.leave(Status.DEAD)
    row.error = FAILURE.kind


def fail(row: Row) -> None:
    row.leave(Status.PENDING)
    row.error, row.is_isolated = FAILURE.kind, True


def defer(row: Row) -> None:
    row.leave(Status.PENDING)
    row.error, row.attempts = FAILURE.kind, row.attempts - 1


# What an attempt may come to: the new values, and the same in the model.
ENDS: dict[str, tuple[Callable[[int], dict[str, object]], Callable[[Row], None]]] = {
    "succeeded": (lambda attempts: outcomes.succeeded(), succeed),
    "discarded": (lambda attempts: outcomes.discarded(FAILURE), discard),
    "dead": (lambda attempts: outcomes.dead(FAILURE), die),
    "failed": (lambda attempts: outcomes.failed(FAILURE, seconds=LEASE, isolated=True), fail),
    "deferred": (
        lambda attempts: outcomes.deferred(FAILURE, seconds=LEASE, attempts=attempts),
        defer,
    ),
}
