"""The relay: from the outbox to the workers, and back what was lost on the way."""

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from . import conf, signals
from .dispatch.rq_transport import RqTransport
from .exceptions import TransportUnavailable
from .floor import Floor
from .gathering import Gathering
from .inline import InlineTransport
from .models import BulkOperation, Delivery, OutboxEvent, Outlook, look
from .models.locking import writing
from .models.status import UNDECODABLE, UNKNOWN_SUBSCRIBER
from .outage import Outage, database_trouble
from .pulse import Pulse
from .pushing import Pusher
from .recovery import Inquiry, LostWorkers
from .registry import Registry, registry
from .repeats import Repeats
from .routing import Router
from .transport import Transport
from .verdicts import LATE

logger = logging.getLogger("eda_django")

# Seconds between two rounds of pruning.
PRUNING = 60.0
# Seconds until the next look when everything due is in other hands: another relay's, or, for a
# lapsed lease, those of a subscriber that is slow. Relays take up to LONGER of these, each its own
# time: a row that one looks at is locked for the others that look in the same moment.
CONTENDED, SLOW, LONGER = 0.1, 1.0, 1.3


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
        self.outage = Outage(self.name)
        inline = isinstance(self.transport, InlineTransport)
        self.pulse = Pulse(self.name, using=using, inline=inline, clock=clock)
        self.gathering = Gathering(self.transport.ahead, clock=clock)
        self.router = Router(using, subscriptions, self.gathering)
        self.pusher = Pusher(using, self.transport)
        self.floor = Floor(clock=clock)
        self.slow = SLOW * random.uniform(1.0, LONGER)
        size = self.batch_size
        self.lost_workers = LostWorkers(using, subscriptions, limit=size, clock=clock)
        self.inquiry = Inquiry(using, self.transport, subscriptions, limit=size, clock=clock)
        self.events = OutboxEvent.objects.using(using)
        self.deliveries = Delivery.objects.using(using)
        self.operations = BulkOperation.objects.using(using)
        self._next_pruning = self._next_reconcile = float("-inf")
        self._pruned_to = 0
        self._has_retried_known = False

    # The loop

    def run(self) -> None:
        """Relay until stop() is called."""
        logger.info("relay started name=%s database=%s", self.name, self.using)
        has_rung = False
        try:
            while not self.stopping.is_set():
                has_rung = self._sleep(self.turn(has_rung=has_rung))
        finally:
            self.pulse.end()
            logger.info("relay stopped name=%s database=%s", self.name, self.using)

    def stop(self) -> None:
        """End run() after the batch at hand; may be called from a signal handler."""
        self.stopping.set()

    def drain(self) -> int:
        """Relay until nothing moves; return how many rows were moved. Errors are raised.

        Or until nothing does but what subscribers put off, again and again.
        """
        # Nobody would push later what is gathered now.
        self.gathering.most = 0.0
        self.retry_known()
        self.inquiry.restart()
        total, has_waited = 0, False
        with Repeats(self.using) as repeats:
            while not self.stopping.is_set():
                outlook = self._look(self.floor.begin())
                moved = self.relay(outlook)
                if not moved and outlook.floor:
                    moved = self.relay(self._look(0))
                total += moved
                has_waited = has_waited and not moved
                if repeats.are_all(moved):
                    if has_waited or not self.lost_workers.are_suspected:
                        break
                    # Nobody else takes the second look, where it runs by cron.
                    has_waited = True
                    self.stopping.wait(self.slow)
        return total

    def turn(self, *, has_rung: bool = False) -> float:
        """Do what is due and return how many seconds to sleep; an outage is survived here."""
        try:
            self.show_life()
            if self.outage:
                self.transport.check()
            seconds = self.poll(has_rung=has_rung)
            # Last, so that an error in it keeps nothing from being relayed.
            self.keep_house()
        except TransportUnavailable as error:
            return self._lose(
                error, "relay has lost its transport, it tries again until it is back"
            )
        except (OperationalError, InterfaceError) as error:
            return self._lose(error, database_trouble(self.using))
        except Exception:
            logger.exception("relay turn failed name=%s", self.name)
            return self._back_off()
        self.outage.end()
        return seconds

    def poll(self, *, has_rung: bool = False) -> float:
        """Do what is due; return the seconds until more may be, 0 if this may not be all."""
        floor = self.floor.begin()
        # A ring says what a look would; what else is due, the look of the next turn finds.
        if has_rung and self.fan_out(floor=floor, release=False):
            return 0.0
        outlook = self._look(floor)
        if self.relay(outlook):
            return 0.0
        if outlook.floor:
            if seconds := self.floor.until_sweep():
                seconds = min(seconds, self.poll_interval)
                return outlook.next_in(seconds, contended=CONTENDED, slow=self.slow)
            outlook = self._look(0)
            if self.relay(outlook):
                return 0.0
        seconds = self.inquiry.next_in(self.poll_interval)
        return outlook.next_in(seconds, contended=CONTENDED, slow=self.slow)

    def relay(self, outlook: Outlook) -> int:
        """Do the work in sight; return how many rows were moved on."""
        moved = 0
        if outlook.must_fan_out:
            moved += self.fan_out(floor=outlook.floor, release=outlook.must_release)
        if outlook.must_push:
            moved += self.push_due()
        else:
            self.gathering.is_held_up = False
        if outlook.must_reconcile and self.clock() >= self._next_reconcile:
            changed = self.reconcile()
            self._next_reconcile = self.clock() + (0.0 if changed else self.slow)
            moved += changed
        if outlook.must_operate:
            moved += self.operate()
        return moved

    # The work

    def fan_out(self, *, floor: int = 0, release: bool = True) -> int:
        """Give every subscription its delivery of new events, push them; return how many events."""
        count, chunks = self.router.fan_out(self.batch_size, floor=floor, release=release)
        self.floor.claimed(self.router.last_id)
        self.pusher.push(chunks)
        return count

    def push_due(self) -> int:
        """Push what is due again: retries, and what was given back; return how many deliveries."""
        queues = {s.name: s.queue or conf.get("QUEUE") for s in self.subscriptions}
        with writing(self.using):
            chunks = self.deliveries.claim_due(
                self.batch_size,
                size=conf.get("CHUNK_SIZE"),
                lease=conf.get("LEASE"),
                queues=queues,
                behind=self.gathering.behind(),
            )
        claimed = sum(len(chunk.delivery_ids) for chunk in chunks)
        self.gathering.is_held_up = claimed >= self.batch_size
        return self.pusher.push(chunks)

    def reconcile(self) -> int:
        """Find out what became of claims whose lease is over; return how many were looked at."""
        return self.lost_workers.recover() + self.inquiry.ask()

    def operate(self) -> int:
        """Do the next batch of a bulk operation; return 1 if there was one to do."""
        with writing(self.using):
            operation = self.operations.step(self.batch_size)
        if operation and operation.is_done:
            logger.info("bulk operation is done id=%s database=%s", operation.pk, self.using)
            signals.operation_ended.send_robust(sender=type(operation), operation=operation)
        return int(operation is not None)

    def show_life(self) -> None:
        """Let the heartbeat row tell that this relay lives, whatever else may be away."""
        self.pulse.beat()

    def keep_house(self) -> None:
        """Let go what older code had to put aside, and prune what is old."""
        if not self._has_retried_known:
            self.retry_known()
        now = self.clock()
        if now >= self._next_pruning:
            self._next_pruning = now + PRUNING
            if self.prune():
                self._next_pruning = now

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
        types, names = self.subscriptions.type_names(), self.subscriptions.names()
        for retry in (
            partial(self.events.retry_known, types),
            partial(self.deliveries.retry_known, UNKNOWN_SUBSCRIBER, names),
            partial(self.deliveries.retry_known, UNDECODABLE, names),
        ):
            self._in_batches(partial(retry, within=LATE, limit=self.batch_size))
        self._has_retried_known = True

    # The parts of it

    def _look(self, floor: int) -> Outlook:
        began_at = self.clock()
        outlook = look(self.using, floor=floor, since=self.inquiry.go_on())
        if not floor:
            self.floor.swept(self.clock() - began_at)
            self.inquiry.looked(outlook.queued_lapse_in)
        return outlook

    def _in_batches(self, work: Callable[[], int]) -> None:
        while not self.stopping.is_set():
            with writing(self.using):
                if not work():
                    return

    def _sleep(self, seconds: float) -> bool:
        """Sleep until the next turn; return whether the doorbell has cut it short."""
        if self.outage:
            # Not by the doorbell: under traffic it would cut every back-off short.
            self.stopping.wait(seconds)
            return False
        return self.transport.wait(seconds, using=self.using, wake=self.stopping)

    # Outages, beginning and end

    def _lose(self, error: Exception, what: str) -> float:
        self.outage.report(error, what)
        return self._back_off()

    def _back_off(self) -> float:
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close()
        return self.outage.longer()
