"""What became of claims whose lease is over: slow, lost on the way, or dead with their worker."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from . import conf
from .conf import MAX_BATCH
from .models import Delivery
from .models.locking import writing
from .models.verbs import MOMENT
from .registry import Registry
from .transport import Transport
from .verdicts import Verdict, judge_lost

logger = logging.getLogger("eda_django")

# Batches that are read at once: to read a row costs a small part of changing it, and each read asks
# Redis for its queues' lists.
READS = 10
# Seconds until a lost delivery is asked about again that somebody held.
SOON = 1.0
# Seconds for which a row must have been free before its worker is taken for lost.
GRACE = 1.0


class LostWorkers:
    """Records attempts as failed whose worker is gone: whose row nobody holds at two looks.

    A slow subscriber's row is free for a moment when it fails, between the rollback and the
    record of how it ended. To be found there by chance must not cost it an attempt.
    """

    def __init__(
        self,
        using: str,
        subscriptions: Registry,
        *,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._using = using
        self._subscriptions = subscriptions
        self._limit = limit
        self._clock = clock
        self._deliveries = Delivery.objects.using(using)
        # Row, claim and attempt that the last look found free, and since when each look has.
        self._seen: dict[tuple[int, UUID, int], float] = {}

    @property
    def are_suspected(self) -> bool:
        """Whether the last look found any that only another one can tell of."""
        return bool(self._seen)

    def recover(self) -> int:
        """Record what has been free for GRACE by now; return how many. Frees their neighbours."""
        seen: dict[tuple[int, UUID, int], float] = {}
        verdicts: list[tuple[Delivery, Verdict]] = []
        with writing(self._using):
            rows = self._deliveries.lock_lapsed_running(self._limit)
            now = self._clock()
            for row in rows:
                attempt = row.pk, row.claim, row.attempts
                since = self._seen.get(attempt, now)
                if now - since < GRACE:
                    seen[attempt] = since
                else:
                    verdicts.append((row, self._record(row)))
            if verdicts:
                # A worker runs one delivery at a time: with it, the rest of its chunk is lost.
                self._give_back({row.claim for row, _ in verdicts})
        self._seen = seen
        for row, verdict in verdicts:
            verdict.announce(row)
        return len(verdicts)

    def _record(self, row: Delivery) -> Verdict:
        subscription = self._subscriptions.get(row.subscriber)
        verdict = judge_lost(row, retry=subscription.retry if subscription else None)
        assert verdict.failed_attempt
        # First: each statement has its own time, and what died must not seem to have done so
        # before the attempt ended.
        verdict.failed_attempt.save(using=self._using, force_insert=True)
        self._deliveries.settle(row.pk, verdict.outcome, token=row.claim, then=None, lease=0.0)
        return verdict

    def _give_back(self, tokens: Iterable[UUID]) -> None:
        rest = self._deliveries.queued_under(tokens)
        for start in range(0, len(rest), MAX_BATCH):
            self._deliveries.requeue(rest[start : start + MAX_BATCH])


class Inquiry:
    """Asks what became of claims that no worker has started, each of them once in a lease.

    It goes in rounds through those whose lease is over, and writes only what was lost. To renew the
    leases of a long queue would cost more than all else that a relay does.
    """

    def __init__(
        self,
        using: str,
        transport: Transport,
        subscriptions: Registry,
        *,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._using = using
        self._transport = transport
        self._subscriptions = subscriptions
        self._limit = limit
        self._clock = clock
        self._deliveries = Delivery.objects.using(using)
        # Those whose lease ended before were asked about in this round.
        self._since: datetime | None = None
        self._is_through = False
        self._next_at = 0.0

    def restart(self) -> None:
        """Begin a new round."""
        self._since, self._is_through = None, False

    def go_on(self) -> datetime | None:
        """Return from where on leases are to be looked at; None for all, in a new round.

        None begins before the last is through, or the end of a long queue would never be reached.
        """
        if self._is_through and self._clock() >= self._next_at:
            self.restart()
        return self._since

    def looked(self, lapse_in: float | None) -> None:
        """Note in how many seconds the next lease ends that is still to be asked about."""
        self._is_through = self._is_through or lapse_in is None or lapse_in > 0

    def next_in(self, at_most: float) -> float:
        """Return the seconds until the next round; `at_most` if it is later, or asks nobody."""
        if self._since is None or not self._is_through:
            return at_most
        return min(at_most, max(0.0, self._next_at - self._clock()))

    def ask(self) -> int:
        """Ask about the next claims, take back what was lost; return how many were asked about."""
        if self._since is None:
            self._next_at = self._clock() + conf.get("LEASE")
        lapsed = self._deliveries.lapsed_queued(self._limit * READS, since=self._since)
        if lapsed:
            lost = self._lost_of(lapsed)
            for start in range(0, len(lost), self._limit):
                self._take_back(lost[start : start + self._limit])
            self._since = lapsed[-1].leased_until + MOMENT
        # Not only when a look finds nothing more: leases may end faster than it comes.
        self._is_through = len(lapsed) < self._limit * READS
        return len(lapsed)

    def _lost_of(self, lapsed: Sequence[Delivery]) -> list[Delivery]:
        claims = {row.claim: row.queue for row in lapsed}
        alive = self._deliveries.running_tokens() & claims.keys()
        alive |= self._transport.alive({t: queue for t, queue in claims.items() if t not in alive})
        return [row for row in lapsed if row.claim not in alive and self._can_tell(row)]

    def _can_tell(self, row: Delivery) -> bool:
        """Return whether the transport's answer tells of a claim, or the code has moved it.

        A queue that is not there may be newer code's. Its claims, taken back after each lease by a
        relay of older code, would never reach the end of a queue that is longer.
        """
        if self._transport.has_queue(row.queue):
            return True
        known = self._subscriptions.get(row.subscriber)
        return known is not None and (known.queue or conf.get("QUEUE")) != row.queue

    def _take_back(self, lost: Sequence[Delivery]) -> None:
        with writing(self._using):
            count = self._deliveries.requeue(lost)
        if count:
            logger.info("deliveries were lost on the way and go again count=%s", count)
        if count < len(lost) and self._deliveries.still_queued(lost).exists():
            # Somebody holds them who is about to change them, or dies of it.
            self._next_at = min(self._next_at, self._clock() + SOON)
