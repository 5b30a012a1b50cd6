"""What becomes of a delivery whose attempt did not succeed."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.dispatch import Signal

from . import failures, signals
from .conf import MAX_NAME
from .exceptions import Discard, RetryLater, UndecodablePayload
from .failures import Failure, plain
from .models import Attempt, Delivery, outcomes
from .models.clock import DatabaseNow, after
from .models.status import UNDECODABLE
from .retry import Retry

# Seconds until what the running code can't deal with is tried again: the least and the most.
SOON, LATE = 60.0, 3600.0
# The least that a subscriber is tried later: with none, relay and worker would do nothing else.
SHORTEST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The row's new values, the row to keep of a failed attempt, and whom to tell."""

    outcome: dict[str, Any]
    signal: Signal
    told: dict[str, Any]
    failed_attempt: Attempt | None = None

    def announce(self, delivery: Delivery) -> None:
        """Tell the signal's receivers; to be called when the outcome is committed."""
        delivery.status = self.outcome["status"]
        self.signal.send_robust(sender=Delivery, delivery=delivery, **self.told)

    @property
    def exc_info(self) -> BaseException | None:
        """The exception for the log; None if its text holds what must be masked."""
        failure: Failure | None = self.told.get("error")
        return failure.exc_info if failure else None

    def in_ascii(self) -> "Verdict":
        """Return the same verdict in words that a database of any character set can store."""
        kept = self.failed_attempt
        if kept:
            kept.error_class = plain(kept.error_class)[:MAX_NAME]
            kept.error_text, kept.traceback = plain(kept.error_text), plain(kept.traceback)
        outcome = dict(self.outcome)
        if "error_class" in outcome:
            outcome["error_class"] = plain(outcome["error_class"])[:MAX_NAME]
            outcome["error_text"] = plain(outcome["error_text"])
        return replace(self, outcome=outcome)


def judge(
    delivery: Delivery,
    error: BaseException,
    *,
    retry: Retry,
    seconds: float,
    secrets: Iterable[str],
) -> Verdict:
    """Decide after an exception; `delivery.attempts` counts this attempt, which took `seconds`."""
    failure = failures.describe(error, secrets=secrets)
    if isinstance(error, Discard):
        failure = replace(failure, text=failure.text or "discarded by the subscriber")
        return Verdict(
            outcome=outcomes.discarded(failure),
            signal=signals.delivery_discarded,
            told={"reason": failure.text},
        )
    if isinstance(error, RetryLater):
        return _deferred(delivery, failure, seconds=max(error.seconds, SHORTEST))
    if isinstance(error, UndecodablePayload):
        failure = replace(failure, kind=UNDECODABLE)
        return _deferred(delivery, failure, seconds=patience(delivery.waited))
    return _failed(delivery, failure, retry=retry, seconds=seconds, isolated=delivery.isolated)


def judge_lost(delivery: Delivery, *, retry: Retry | None) -> Verdict:
    """Decide after a worker vanished; without a known retry policy a delivery never dies."""
    return _failed(delivery, failures.lost_worker(), retry=retry, seconds=None, isolated=True)


def patience(waited: float) -> float:
    """Return the seconds to wait for newer code: as long again as was waited already.

    What nobody knows any more must not go round every minute for ever.
    """
    return min(max(waited, SOON), LATE)


def _deferred(delivery: Delivery, failure: Failure, *, seconds: float) -> Verdict:
    return Verdict(
        outcome=outcomes.deferred(failure, seconds=seconds, attempts=delivery.attempts),
        signal=signals.delivery_deferred,
        told={"reason": failure.text},
    )


def _failed(
    delivery: Delivery,
    failure: Failure,
    *,
    retry: Retry | None,
    seconds: float | None,
    isolated: bool,
) -> Verdict:
    policy = retry or Retry()
    kept = Attempt(
        delivery_id=delivery.pk,
        number=delivery.attempts,
        worker="" if seconds is None else worker_name(),
        started_at=delivery.started_at if seconds is None else after(-seconds),
        finished_at=DatabaseNow(),
        error_class=failure.kind,
        error_text=failure.text,
        traceback=failure.traceback,
    )
    if retry is not None and retry.is_exhausted(delivery.attempts):
        outcome, signal = outcomes.dead(failure), signals.delivery_dead
    else:
        wait = policy.delay(delivery.attempts)
        outcome = outcomes.failed(failure, seconds=wait, isolated=isolated)
        signal = signals.delivery_failed
    return Verdict(outcome=outcome, signal=signal, told={"error": failure}, failed_attempt=kept)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:MAX_NAME]
