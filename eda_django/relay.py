"""The relay: from the outbox to the workers, and back what was lost on the way."""

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from . import conf
from .chunks import Chunk
from .consumer import UNDECODABLE, UNKNOWN_PAUSE, UNKNOWN_SUBSCRIBER
from .dispatch import RqTransport, Transport
from .exceptions import TransportUnavailable
from .models import Delivery, OutboxEvent, Outlook, RelayHeartbeat, look
from .models.locking import writing
from .registry import Registry, registry
from .verdicts import Verdict, judge_lost
from .version import __version__

logger = logging.getLogger("eda_django")

# Seconds between two heartbeats, and two rounds of pruning; a relay unheard of for the last is
# forgotten.
HEARTBEAT = 10.0
PRUNING = 60.0
FORGOTTEN = 86_400.0
# Seconds to wait while the database or Redis is away; doubled each time, up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
# Seconds until a chunk that can't be pushed, for a reason of its own, is tried again.
REFUSED_PAUSE = 15.0
# Seconds until the next look when everything due is in other hands: another relay's, or, for a
# lapsed lease, those of a subscriber that is slow.
CONTENDED, SLOW = 0.1, 1.0
UNPUSHABLE = "eda_django.Unpushable"


class Relay:
    """Drains one database's outbox. Any number may run at once, except on SQLite.

    A turn is: fan out new events, push what is due, reconcile leases, keep house. No transaction
    is open while the transport is used: claim, COMMIT, push.
    """

    def __init__(
        self,
        *,
        using: str = DEFAULT_DB_ALIAS,
        transport: Transport | None = None,
        batch_size: int | None = None,
        poll_interval: float | None = None,
        subscriptions: Registry = registry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.using = using
        self.transport = transport or RqTransport()
        self.batch_size = batch_size or conf.get("BATCH_SIZE")
        self.poll_interval = poll_interval or conf.get("POLL_INTERVAL")
        self.subscriptions = subscriptions
        self.clock = clock
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.stopping = threading.Event()
        self.events = OutboxEvent.objects.using(using)
        self.deliveries = Delivery.objects.using(using)
        self.heartbeats = RelayHeartbeat.objects.using(using)
        self._pause = 0.0
        self._next_beat = self._next_pruning = self._next_reconcile = float("-inf")
        self._pruned_to = 0

    # The loop

    def run(self) -> None:
        """Relay until stop() is called."""
        logger.info("relay started name=%s database=%s", self.name, self.using)
        try:
            while not self.stopping.is_set():
                self.transport.wait(self.turn(), using=self.using, wake=self.stopping)
        finally:
            self._sign_off()
            logger.info("relay stopped name=%s database=%s", self.name, self.using)

    def stop(self) -> None:
        """End run() after the batch at hand; may be called from a signal handler."""
        self.stopping.set()

    def drain(self) -> int:
        """Relay until nothing moves; return how many rows were moved. Errors are raised."""
        self.retry_known()
        total = 0
        while not self.stopping.is_set() and (moved := self.relay(look(self.using))):
            total += moved
        return total

    def turn(self) -> float:
        """Do what is due and return how many seconds to sleep; an outage is survived here."""
        try:
            self.keep_house()
            if self._pause:
                self.transport.check()
            seconds = self.poll()
        except (DatabaseError, InterfaceError, TransportUnavailable) as error:
            return self._lose(error)
        except Exception:
            logger.exception("relay turn failed name=%s", self.name)
            return self._back_off()
        self._recover()
        return seconds

    def poll(self) -> float:
        """Do what is due; return the seconds until more may be, 0 if this may not be all."""
        outlook = look(self.using)
        if self.relay(outlook):
            return 0.0
        return outlook.next_in(self.poll_interval, contended=CONTENDED, slow=SLOW)

    def relay(self, outlook: Outlook) -> int:
        """Do the work in sight; return how many rows were moved on."""
        moved = 0
        if outlook.must_reconcile and self.clock() >= self._next_reconcile:
            # First, because what is recovered here may be pushed below.
            moved += self.reconcile()
            self._next_reconcile = self.clock() + (0.0 if moved else SLOW)
        if outlook.must_fan_out:
            moved += self.fan_out()
        if outlook.must_push or moved:
            moved += self.push_due()
        return moved

    # The work

    def fan_out(self) -> int:
        """Give every subscription its delivery of new events, push them; return how many events."""
        known: list[OutboxEvent] = []
        unknown: list[OutboxEvent] = []
        with writing(self.using):
            self.events.release_scheduled(self.batch_size)
            for event in self.events.lock_fresh(self.batch_size):
                is_known = self.subscriptions.knows_type(event.type)
                (known if is_known else unknown).append(event)
            chunks = self._deliver(known)
            self.events.mark_relayed([event.pk for event in known])
            self._put_aside(unknown)
        self._push(chunks)
        return len(known) + len(unknown)

    def push_due(self) -> int:
        """Push what is due again: retries, and what was given back; return how many deliveries."""
        with writing(self.using):
            chunks = self.deliveries.claim_due(
                self.batch_size, size=conf.get("CHUNK_SIZE"), lease=conf.get("LEASE")
            )
        return self._push(chunks)

    def reconcile(self) -> int:
        """Find out what became of claims whose lease is over; return how many rows changed."""
        recovered = self._recover_running()
        lapsed = self.deliveries.lapsed_queued(self.batch_size)
        claims = {row.token: row.queue for row in lapsed if row.token}
        if not claims:
            return recovered
        at_work = self.deliveries.running_tokens() & claims.keys()
        alive = at_work | self.transport.alive(
            {token: queue for token, queue in claims.items() if token not in at_work}
        )
        extended = self.deliveries.extend(alive, lease=conf.get("LEASE"))
        lost = self.deliveries.requeue(claims.keys() - alive)
        if lost:
            logger.info("deliveries were lost on the way and go again count=%s", lost)
        return recovered + extended + lost

    def keep_house(self) -> None:
        """Show that this relay lives, and prune what is old."""
        now = self.clock()
        if now >= self._next_beat:
            if self._next_beat < 0:
                self.retry_known()
            self._next_beat = now + HEARTBEAT
            self._beat()
        if now >= self._next_pruning:
            more = self.prune()
            self._next_pruning = now if more else now + PRUNING

    def prune(self) -> bool:
        """Delete one batch of finished events; return whether to go on at once."""
        with writing(self.using):
            deleted, self._pruned_to = self.events.prune(
                seconds=conf.get("RETENTION").total_seconds(),
                after_id=self._pruned_to,
                limit=self.batch_size,
            )
        if deleted:
            logger.info("pruned events=%s database=%s", deleted, self.using)
        return self._pruned_to > 0

    def retry_known(self) -> None:
        """Let go at once what older code had to put aside and this code knows."""
        self.events.retry_known(self.subscriptions.type_names())
        names = self.subscriptions.names()
        for kind in (UNKNOWN_SUBSCRIBER, UNDECODABLE):
            self.deliveries.retry_known(kind, names)

    # The parts of it

    def _deliver(self, events: list[OutboxEvent]) -> list[Chunk]:
        rows = [
            Delivery(
                event_id=event.pk,
                subscriber=subscription.name,
                queue=subscription.queue or conf.get("QUEUE"),
                key=event.key,
            )
            for event in events
            for subscription in self.subscriptions.matching(event.type)
        ]
        return self.deliveries.create_queued(
            rows, size=conf.get("CHUNK_SIZE"), lease=conf.get("LEASE")
        )

    def _put_aside(self, events: list[OutboxEvent]) -> None:
        """Keep events of unknown types waiting, out of the way of the others."""
        for kind in sorted({event.type for event in events}):
            reason = f"no running code knows the event type {kind!r}"
            ids = [event.pk for event in events if event.type == kind]
            self.events.put_aside(ids, error=reason, seconds=UNKNOWN_PAUSE)
            logger.warning(
                "events wait: %s; declare it with @event or subscribe to it by name events=%s",
                reason,
                len(ids),
            )

    def _push(self, chunks: list[Chunk]) -> int:
        """Hand chunks to the transport; what it does not take goes back, no attempt burns."""
        if not chunks:
            return 0
        try:
            refused = self.transport.push(chunks, using=self.using)
        except TransportUnavailable:
            # Should any of it have arrived, its jobs find their claims gone and do nothing.
            for chunk in chunks:
                self.deliveries.release(chunk.token)
            raise
        for chunk in chunks:
            if chunk.token in refused:
                self._refuse(chunk, refused[chunk.token])
        return sum(len(chunk.delivery_ids) for chunk in chunks if chunk.token not in refused)

    def _refuse(self, chunk: Chunk, reason: str) -> None:
        if not reason:
            self.deliveries.release(chunk.token)
            return
        self.deliveries.put_aside(
            chunk.token,
            chunk.delivery_ids,
            kind=UNPUSHABLE,
            reason=reason,
            seconds=REFUSED_PAUSE,
        )
        logger.error("can't push deliveries for %s: %s", chunk.subscriber, reason)

    def _recover_running(self) -> int:
        """Record an attempt as failed whose worker is gone, and free its neighbours."""
        verdicts: list[tuple[Delivery, Verdict]] = []
        with writing(self.using):
            for row in self.deliveries.lock_lapsed_running(self.batch_size):
                subscription = self.subscriptions.get(row.subscriber)
                verdict = judge_lost(row, retry=subscription.retry if subscription else None)
                self.deliveries.settle(
                    row.pk, verdict.outcome, token=row.token, then=None, lease=0.0
                )
                assert verdict.failed_attempt
                verdict.failed_attempt.save(using=self.using, force_insert=True)
                verdicts.append((row, verdict))
            # A worker runs one delivery at a time: with that one lost, the rest of its chunk is.
            self.deliveries.requeue({row.token for row, _ in verdicts})
        for row, verdict in verdicts:
            verdict.announce(row)
        return len(verdicts)

    # Outages, beginning and end

    def _lose(self, error: Exception) -> float:
        if not self._pause:
            logger.error(
                "relay has lost its %s, it tries again until that is back error=%s: %s",
                "transport" if isinstance(error, TransportUnavailable) else "database",
                type(error).__qualname__,
                str(error).strip() or "no details",
            )
        return self._back_off()

    def _back_off(self) -> float:
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close()
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        return self._pause * random.uniform(0.5, 1.0)

    def _recover(self) -> None:
        if self._pause:
            logger.info("relay works again name=%s", self.name)
            self._pause = 0.0

    def _beat(self) -> None:
        about: dict[str, Any] = {
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
        }
        self.heartbeats.beat(self.name, **about)
        self.heartbeats.forget(older_than=FORGOTTEN)

    def _sign_off(self) -> None:
        try:
            self.heartbeats.filter(name=self.name).delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("relay could not sign off: %s", error)
