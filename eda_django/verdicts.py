"""What becomes of a delivery whose attempt did not succeed."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.dispatch import Signal

from . import failures, signals
from .exceptions import Discard, RetryLater
from .failures import Failure
from .models import Attempt, Delivery
from .models import delivery as outcomes
from .models.clock import DatabaseNow, after
from .retry import Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The row's new values, the row to keep of a failed attempt, and whom to tell."""

    outcome: dict[str, Any]
    signal: Signal
    told: dict[str, Any]
    failed_attempt: Attempt | None = None

    def announce(self, delivery: Delivery) -> None:
        """Tell the signal's receivers; to be called when the outcome is committed."""
        self.signal.send_robust(sender=Delivery, delivery=delivery, **self.told)


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
        reason = failure.text or "discarded by the subscriber"
        told = {"reason": reason}
        return Verdict(
            outcome=outcomes.discarded(reason), signal=signals.delivery_discarded, told=told
        )
    if isinstance(error, RetryLater):
        outcome = outcomes.deferred(failure.text, seconds=error.seconds, attempts=delivery.attempts)
        return Verdict(
            outcome=outcome, signal=signals.delivery_deferred, told={"reason": failure.text}
        )
    return _failed(delivery, failure, retry=retry, seconds=seconds, isolated=delivery.isolated)


def judge_lost(delivery: Delivery, *, retry: Retry | None) -> Verdict:
    """Decide after a worker vanished; without a known retry policy a delivery never dies."""
    return _failed(delivery, failures.lost_worker(), retry=retry, seconds=None, isolated=True)


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
    return f"{socket.gethostname()}:{os.getpid()}"[:255]
