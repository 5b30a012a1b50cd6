"""The new values of a delivery's columns, for each way on."""

from typing import Any

from ..failures import Failure, storable
from .clock import DatabaseNow, after
from .status import Status

MAX_REASON = 2_000


def succeeded() -> dict[str, Any]:
    return _ended(Status.SUCCEEDED)


def discarded(failure: Failure) -> dict[str, Any]:
    return _ended(Status.DISCARDED) | _error(failure)


def dead(failure: Failure) -> dict[str, Any]:
    return _ended(Status.DEAD) | _error(failure)


def failed(failure: Failure, *, seconds: float, isolated: bool) -> dict[str, Any]:
    return pending(seconds) | _error(failure) | {"isolated": isolated}


def deferred(failure: Failure, *, seconds: float, attempts: int) -> dict[str, Any]:
    """A return to the queue that gives the attempt back."""
    return pending(seconds) | _error(failure) | {"attempts": attempts - 1}


def _ended(status: Status) -> dict[str, Any]:
    # The token stays: a second copy of the job can then tell that its delivery is settled.
    return {"status": status, "finished_at": DatabaseNow(), "lease_until": None}


def pending(seconds: float) -> dict[str, Any]:
    return {
        "status": Status.PENDING,
        "due_at": after(seconds),
        "lease_until": None,
        "token": None,
    }


def _error(failure: Failure) -> dict[str, Any]:
    return {
        "error_class": failure.kind,
        "error_text": storable(failure.text, MAX_REASON),
        "fingerprint": failure.fingerprint,
    }
