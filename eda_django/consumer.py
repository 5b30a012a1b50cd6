"""consume(): what the RQ worker runs. One chunk of deliveries, each in a transaction of its own."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

from . import conf, payloads, signals
from .events import types
from .exceptions import StaleClaim, UndecodablePayload
from .execution import Execution
from .models import Delivery, Status
from .models import delivery as outcomes
from .models.locking import writing
from .registry import Subscription, registry

logger = logging.getLogger("eda_django")

# Seconds after which a chunk gives the rest back, so that other jobs of the queue get their turn.
TIME_SLICE = 15.0
# Seconds until a delivery that the running code can't start is tried again.
UNKNOWN_PAUSE = 60.0
# The lease of a subscriber that has no timeout and holds no row lock to show that it lives.
NO_TIMEOUT = 86_400.0
UNKNOWN_SUBSCRIBER = "eda_django.UnknownSubscriber"
UNDECODABLE = "eda_django.UndecodablePayload"


def consume(
    delivery_ids: Sequence[int],
    *,
    token: str,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float | None = None,
) -> int:
    """Run the subscribers of the deliveries claimed under `token`; return how many succeeded.

    `timeout` is the seconds that one attempt may take. Deliveries that are no longer under this
    claim are passed over. Raises ValueError or TypeError for arguments that no relay pushed.
    """
    ids = [int(pk) for pk in delivery_ids]
    run = ChunkRun(UUID(token), using=using, timeout=timeout)
    if not connections[using].in_atomic_block:
        # A worker may have slept for a day since its connection was last used.
        close_old_connections()
    try:
        return run.run(ids)
    finally:
        signals.chunk_finished.send_robust(sender=None, using=using)


class ChunkRun:
    """The run of one chunk: at any moment at most one delivery of it is marked as running."""

    def __init__(
        self,
        token: UUID,
        *,
        using: str,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token
        self.using = using
        self.timeout = timeout
        self.deliveries = Delivery.objects.using(using)
        self.clock = clock
        self.ends_at = clock() + TIME_SLICE
        self.succeeded = 0

    def run(self, ids: Sequence[int]) -> int:
        """Run what can be run here, and give back what there is no time for."""
        rest = deque(self._startable(ids))
        started = False
        try:
            while rest and (started or self._has_time()):
                work = rest.popleft()
                if started or self._start(work):
                    started = self._attempt(work, rest[0] if rest else None)
        finally:
            # Also when a subscriber ends the process: its neighbours go back untouched.
            self._give_back([work.pk for work in rest])
        return self.succeeded

    def _has_time(self) -> bool:
        return self.clock() < self.ends_at

    def _startable(self, ids: Sequence[int]) -> list[Execution]:
        rows = self.deliveries.held(Status.QUEUED, self.token).filter(pk__in=ids)
        found = rows.select_related("event").order_by("event_id")
        return [work for row in found if (work := self._execution(row))]

    def _execution(self, row: Delivery) -> Execution | None:
        """Return what to run, or put the delivery aside for newer code; that burns no attempt."""
        subscription = registry.get(row.subscriber)
        if subscription is None:
            reason = f"no running code knows the subscriber {row.subscriber!r}"
            return self._put_aside(row, UNKNOWN_SUBSCRIBER, reason)
        declared = types.get(row.event.type)
        try:
            data = payloads.decode(declared, version=row.event.version, tree=row.event.data)
        except UndecodablePayload as error:
            return self._put_aside(row, UNDECODABLE, str(error))
        return Execution(
            row=row,
            subscription=subscription,
            event=row.event.envelope(data, attempt=row.attempts + 1),
            timeout=subscription.timeout or self.timeout,
        )

    def _put_aside(self, row: Delivery, kind: str, reason: str) -> None:
        if self.deliveries.put_aside(
            self.token, [row.pk], kind=kind, reason=reason, seconds=UNKNOWN_PAUSE
        ):
            signals.delivery_deferred.send_robust(sender=Delivery, delivery=row, reason=reason)

    def _give_back(self, ids: Sequence[int]) -> None:
        if ids and self.deliveries.release(self.token, ids):
            signals.deliveries_released.send_robust(sender=None, using=self.using)

    def _start(self, work: Execution) -> bool:
        lease = self._lease(work.subscription)
        return self.deliveries.start(work.pk, token=self.token, lease=lease)

    def _lease(self, subscription: Subscription) -> float:
        """Return how long the relay must leave a started delivery alone.

        In atomic mode the row lock says that the worker lives. Without, only time can.
        """
        lease: float = conf.get("LEASE")
        if subscription.atomic:
            return lease
        return lease + (subscription.timeout or self.timeout or NO_TIMEOUT)

    def _attempt(self, work: Execution, following: Execution | None) -> bool:
        """Run a delivery that is marked as running; return whether the following is by now."""
        work.begin()
        run = self._run_atomic if work.subscription.atomic else self._run_bare
        try:
            return run(work, following)
        except StaleClaim:
            self._warn_stale(work)
            return False
        except Exception as error:
            return self._settle_failure(work, error, following)
        except BaseException as error:
            # The process is to end (SystemExit, KeyboardInterrupt): nothing else is started.
            self._settle_failure(work, error, None)
            raise

    def _run_atomic(self, work: Execution, following: Execution | None) -> bool:
        """Commit the subscriber's writes, the acknowledgement and the next start together."""
        with writing(self.using):
            if not self.deliveries.lock_running(work.pk, token=self.token):
                raise StaleClaim
            work.call()
            changed = self._settle(work, outcomes.succeeded(), following)
            if not changed:
                raise StaleClaim
        self._note_success(work)
        return changed == 2

    def _run_bare(self, work: Execution, following: Execution | None) -> bool:
        work.call()
        changed = self._settle(work, outcomes.succeeded(), following)
        is_done = changed == 2 or self._holds(Status.SUCCEEDED, work)
        if is_done:
            self._note_success(work)
        else:
            self._warn_stale(work)
        # Nothing was locked, so a single row changed may be either.
        return changed - is_done == 1

    def _settle(self, work: Execution, outcome: dict[str, Any], following: Execution | None) -> int:
        then = following if following and self._has_time() else None
        return self.deliveries.settle(
            work.pk,
            outcome,
            token=self.token,
            then=then.pk if then else None,
            lease=self._lease(then.subscription) if then else 0.0,
        )

    def _settle_failure(
        self, work: Execution, error: BaseException, following: Execution | None
    ) -> bool:
        """Record how the attempt ended, and start the following with the same statement."""
        verdict = work.judge(error)
        connection = connections[self.using]
        if not connection.in_atomic_block:
            # The failure may have been the connection's own.
            connection.close_if_unusable_or_obsolete()
        with writing(self.using):
            if not self.deliveries.lock_running(work.pk, token=self.token):
                return self._after_settled(work, error, following)
            changed = self._settle(work, verdict.outcome, following)
            if verdict.failed_attempt:
                verdict.failed_attempt.save(using=self.using, force_insert=True)
        verdict.announce(work.row)
        return changed == 2

    def _after_settled(
        self, work: Execution, error: BaseException, following: Execution | None
    ) -> bool:
        """Deal with an error after the commit: an on_commit hook's, or a connection's."""
        if self._holds(Status.SUCCEEDED, work):
            logger.error("error after the commit delivery=%s", work.pk, exc_info=error)
            self._note_success(work)
        else:
            self._warn_stale(work)
        return following is not None and self._holds(Status.RUNNING, following)

    def _holds(self, status: Status, work: Execution) -> bool:
        return self.deliveries.held(status, self.token).filter(pk=work.pk).exists()

    def _note_success(self, work: Execution) -> None:
        self.succeeded += 1
        signals.delivery_succeeded.send_robust(sender=Delivery, delivery=work.row)

    def _warn_stale(self, work: Execution) -> None:
        logger.warning(
            "claim was lost, nothing was changed delivery=%s subscriber=%s",
            work.pk,
            work.subscription.name,
        )
