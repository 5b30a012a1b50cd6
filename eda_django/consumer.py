"""consume(): what the RQ worker runs. One chunk of deliveries, each in a transaction of its own."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.transaction import TransactionManagementError

from . import signals
from .chunks import TIME_SLICE
from .exceptions import StaleClaim
from .execution import Execution, has_hooks
from .job_arguments import checked
from .models import Delivery, Status, outcomes
from .models.locking import (
    abandon_statement,
    databases_inside,
    noticing_rollbacks,
    revive,
    untangle,
    writing,
)
from .models.status import UNKNOWN_SUBSCRIBER
from .registry import registry
from .verdicts import Verdict, patience

logger = logging.getLogger("eda_django")

# From a queue's name to the seconds that one attempt may take there; None for no limit.
Limits = Callable[[str], float | None]


def no_limit(queue: str) -> None:
    return None


def consume(
    delivery_ids: Sequence[int],
    *,
    token: str,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float | None = None,
    limit_of: Limits = no_limit,
) -> int:
    """Run the subscribers of the deliveries claimed under `token`; return how many succeeded.

    `limit_of` says for a queue how many seconds an attempt may take whose subscriber has no
    timeout; the `timeout` that stands in a job may be a stranger's, and counts for nothing.
    Deliveries that are no longer under this claim are passed over. Raises RefusedJob for arguments
    that no relay pushed.
    """
    claim = checked(delivery_ids, token=token, using=using, timeout=timeout)
    for connection in connections.all(initialized_only=True):
        # A worker may have slept for a day since they were last used. The one that is read from
        # next tells by itself.
        revive(connection.alias, is_asked=connection.alias != claim.using)
    run = ChunkRun(claim.token, using=claim.using, limit_of=limit_of)
    try:
        return run.run(claim.ids)
    except (DatabaseError, InterfaceError):
        # The next job connects anew. A server that became a replica answers all but writes.
        if not connections[claim.using].in_atomic_block:
            connections[claim.using].close()
        raise
    finally:
        signals.chunk_finished.send_robust(sender=None, using=using)


class ChunkRun:
    """The run of one chunk: at any moment at most one delivery of it is marked as running."""

    def __init__(
        self,
        token: UUID,
        *,
        using: str,
        limit_of: Limits = no_limit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token
        self.using = using
        self.limit_of = limit_of
        self.deliveries = Delivery.objects.using(using)
        self.clock = clock
        self.ends_at = clock() + TIME_SLICE
        self.inside = databases_inside()
        self.succeeded = 0

    def run(self, ids: Sequence[int]) -> int:
        """Run what can be run here, and give back what there is no time for."""
        rest = deque(self._startable(ids))
        started = False
        try:
            while rest and (started or self._has_time()):
                work = rest[0]
                started = started or self._start(work)
                rest.popleft()
                if started:
                    started = self._attempt(work, rest[0] if rest else None)
        finally:
            # Also when a subscriber ends the process: its neighbours go back untouched.
            untangle(self.inside)
            self._give_back([work.pk for work in rest])
        return self.succeeded

    def _has_time(self) -> bool:
        return self.clock() < self.ends_at

    def _startable(self, ids: Sequence[int]) -> list[Execution]:
        found: list[Execution] = []
        unknown: list[Delivery] = []
        for row in self._read(ids):
            if subscription := registry.get(row.subscriber):
                timeout = subscription.timeout or self.limit_of(row.queue)
                found.append(Execution(row=row, subscription=subscription, timeout=timeout))
            else:
                unknown.append(row)
        if unknown:
            self._put_aside(unknown)
        return found

    def _read(self, ids: Sequence[int]) -> list[Delivery]:
        try:
            return self.deliveries.startable(ids, token=self.token)
        except (DatabaseError, InterfaceError):
            # It may have died since it was last used.
            revive(self.using)
            return self.deliveries.startable(ids, token=self.token)

    def _put_aside(self, rows: Sequence[Delivery]) -> None:
        """Leave deliveries to newer code; that burns no attempt."""
        reason = f"no running code knows the subscriber {rows[0].subscriber!r}"
        moved = self.deliveries.put_aside(
            self.token,
            [row.pk for row in rows],
            kind=UNKNOWN_SUBSCRIBER,
            reason=reason,
            seconds=min(patience(row.waited) for row in rows),
        )
        for row in rows if moved else ():
            row.status = Status.PENDING
            signals.delivery_deferred.send_robust(sender=Delivery, delivery=row, reason=reason)

    def _give_back(self, ids: Sequence[int]) -> None:
        if ids and self.deliveries.release(self.token, ids):
            signals.deliveries_released.send_robust(sender=None, using=self.using)

    def _start(self, work: Execution) -> bool:
        return self.deliveries.start(work.pk, token=self.token, lease=work.lease)

    def _attempt(self, work: Execution, following: Execution | None) -> bool:
        """Run a delivery that is marked as running; return whether the following is by now."""
        work.begin()
        run = self._run_atomic if work.subscription.atomic else self._run_bare
        try:
            return run(work, following)
        except StaleClaim:
            self._warn_stale(work)
            return False
        except (SystemExit, KeyboardInterrupt) as error:
            # The process is to end: nothing else is started.
            self._settle_failure(work, error, None)
            raise _wordless(error) from None
        except BaseException as error:
            # Also asyncio's CancelledError, which is no Exception, and no reason to end.
            return self._settle_failure(work, error, following)

    def _run_atomic(self, work: Execution, following: Execution | None) -> bool:
        """Commit the subscriber's writes, the acknowledgement and the next start together."""
        with writing(self.using):
            if not self.deliveries.lock_running(work.pk, token=self.token):
                raise StaleClaim
            with noticing_rollbacks(self.using):
                self._call(work)
            then = None if has_hooks(self.using) else following
            is_done, is_next_started = self._acknowledge(work, then)
            if not is_done:
                raise StaleClaim
        self._note_success(work)
        return is_next_started

    def _run_bare(self, work: Execution, following: Execution | None) -> bool:
        self._call(work)
        connection = connections[self.using]
        if not (connection.in_atomic_block or connection.get_autocommit()):
            raise TransactionManagementError(
                f"Subscriber {work.subscription.name!r} left autocommit off, and what it wrote "
                f"uncommitted. Commit, and turn it on again."
            )
        # It may have been idle for as long as the subscriber took.
        revive(self.using)
        is_done, is_next_started = self._acknowledge(work, following)
        if is_done:
            self._note_success(work)
        else:
            self._warn_stale(work)
        return is_next_started

    def _call(self, work: Execution) -> None:
        try:
            work.call()
        except BaseException as error:
            abandon_statement(self.using)
            # Texts are read and masked, which takes its time: the row had better be locked still.
            work.judge(error)
            raise

    def _acknowledge(self, work: Execution, following: Execution | None) -> tuple[bool, bool]:
        """Settle a success; return whether the claim still held, and whether the next started."""
        changed = self._settle(work, outcomes.succeeded(), following)
        is_done = changed > 0
        if following and changed == 1:
            # Either of them: the row lock may be lost, if the subscriber committed by hand.
            is_done = self._holds(Status.SUCCEEDED, work)
        return is_done, changed - is_done == 1

    def _settle(self, work: Execution, outcome: dict[str, Any], following: Execution | None) -> int:
        then = following if following and self._has_time() else None
        return self.deliveries.settle(
            work.pk,
            outcome,
            token=self.token,
            then=then.pk if then else None,
            lease=then.lease if then else 0.0,
        )

    def _settle_failure(
        self, work: Execution, error: BaseException, following: Execution | None
    ) -> bool:
        """Record how the attempt ended, and start the following with the same statement."""
        verdict = work.verdict(error)
        # The failure may have been the connection's own, or have come in the middle of a BEGIN.
        untangle(self.inside)
        revive(self.using)
        try:
            changed = self._record(work, verdict, following)
        except (DatabaseError, InterfaceError):
            # Undone by a deadlock, or the database has no letters for some of the words.
            revive(self.using)
            verdict = verdict.in_ascii()
            changed = self._record(work, verdict, following)
        if not changed:
            return self._after_settled(work, verdict, following)
        verdict.announce(work.row)
        return changed == 2

    def _record(self, work: Execution, verdict: Verdict, following: Execution | None) -> int:
        """Store the verdict; return the rows changed, none if the delivery isn't running here."""
        with writing(self.using):
            if not self.deliveries.lock_running(work.pk, token=self.token):
                return 0
            # The attempt first: each statement has its own time, and the delivery must not seem
            # to have ended before the attempt that ended it.
            if verdict.failed_attempt:
                verdict.failed_attempt.save(using=self.using, force_insert=True)
            return self._settle(work, verdict.outcome, following)

    def _after_settled(
        self, work: Execution, verdict: Verdict, following: Execution | None
    ) -> bool:
        """Deal with an error after the commit: an on_commit hook's, or a connection's.

        Or with one of a slow subscriber, whose worker stood still after the rollback, and was
        taken for lost: a relay has recorded that, so the true error can be read in the log alone.
        """
        if self._holds(Status.SUCCEEDED, work):
            logger.error("error after the commit delivery=%s", work.pk, exc_info=verdict.exc_info)
            self._note_success(work)
        else:
            self._warn_stale(work, verdict)
        return following is not None and self._holds(Status.RUNNING, following)

    def _holds(self, status: Status, work: Execution) -> bool:
        return self.deliveries.held(status, self.token).filter(pk=work.pk).exists()

    def _note_success(self, work: Execution) -> None:
        self.succeeded += 1
        work.row.status = Status.SUCCEEDED
        signals.delivery_succeeded.send_robust(sender=Delivery, delivery=work.row)

    def _warn_stale(self, work: Execution, verdict: Verdict | None = None) -> None:
        logger.warning(
            "claim was lost, nothing was changed delivery=%s subscriber=%s error=%s",
            work.pk,
            work.subscription.name,
            verdict.outcome.get("error_text", "") if verdict else "",
            exc_info=verdict.exc_info if verdict else None,
        )


def _wordless(error: SystemExit | KeyboardInterrupt) -> BaseException:
    """Return the same order to end without its text: RQ keeps that, and it may quote a payload."""
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt()
    return SystemExit(error.code if isinstance(error.code, int | None) else 1)
