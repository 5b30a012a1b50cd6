"""What others may want to know about, after the fact; and the receivers that log it.

Receivers get `delivery` (a Delivery row), and for failures `error`: its `kind`, `text`, `traceback`
and `fingerprint`, already masked. They run after the change is committed, and an error in one of
them is logged, never raised.
"""

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger("eda_django")

# `using`: the database alias. A transaction that published something has committed.
events_committed = Signal()
# `using`: a worker gave deliveries back; the relay should look again.
deliveries_released = Signal()
# A worker has finished its chunk: what is still on its way to the relay must go now, because a
# forked worker ends without running exit hooks.
chunk_finished = Signal()

delivery_succeeded = Signal()
# `error`: the Failure; the delivery is tried again at its due_at.
delivery_failed = Signal()
# `error`: the Failure that burned the last attempt.
delivery_dead = Signal()
# `reason`: why it was dropped.
delivery_discarded = Signal()
# `reason`: why it waits without having burned an attempt.
delivery_deferred = Signal()

# `operation`: a BulkOperation that has come to its end.
operation_ended = Signal()


@cache
def ring(alias: str) -> Callable[[], Any]:
    """Return what sends events_committed after a commit: one function for each database."""
    return partial(events_committed.send_robust, sender=None, using=alias)


def log_success(*, delivery: Any, **_: Any) -> None:
    logger.debug(
        "delivery succeeded delivery=%s event=%s subscriber=%s attempt=%s",
        delivery.pk,
        delivery.event_id,
        delivery.subscriber,
        delivery.attempts,
    )


def log_failure(*, delivery: Any, error: Any, **_: Any) -> None:
    logger.warning(
        "delivery failed, will be retried delivery=%s event=%s subscriber=%s attempt=%s error=%s",
        delivery.pk,
        delivery.event_id,
        delivery.subscriber,
        delivery.attempts,
        error.kind,
        exc_info=error.exc_info,
    )


def log_death(*, delivery: Any, error: Any, **_: Any) -> None:
    logger.error(
        "delivery is dead delivery=%s event=%s subscriber=%s attempts=%s error=%s",
        delivery.pk,
        delivery.event_id,
        delivery.subscriber,
        delivery.attempts,
        error.kind,
        exc_info=error.exc_info,
    )


def log_discard(*, delivery: Any, reason: str, **_: Any) -> None:
    logger.info(
        "delivery discarded delivery=%s subscriber=%s reason=%s",
        delivery.pk,
        delivery.subscriber,
        reason,
    )


def log_deferral(*, delivery: Any, reason: str, **_: Any) -> None:
    logger.info(
        "delivery waits delivery=%s subscriber=%s reason=%s",
        delivery.pk,
        delivery.subscriber,
        reason,
    )


def connect_logging() -> None:
    """Log every outcome through the "eda_django" logger."""
    delivery_succeeded.connect(log_success, dispatch_uid="eda_django.log")
    delivery_failed.connect(log_failure, dispatch_uid="eda_django.log")
    delivery_dead.connect(log_death, dispatch_uid="eda_django.log")
    delivery_discarded.connect(log_discard, dispatch_uid="eda_django.log")
    delivery_deferred.connect(log_deferral, dispatch_uid="eda_django.log")
