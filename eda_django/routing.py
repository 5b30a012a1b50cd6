"""Fanning out: from new events to a delivery for each subscription."""

import logging
import time
from collections import Counter

from django.db import DatabaseError, DataError, IntegrityError, transaction

from . import conf
from .chunks import Chunk
from .exceptions import first_line
from .gathering import Gathering, nothing_waits
from .models import Delivery, FreshEvent, NewDelivery, OutboxEvent
from .models.locking import writing
from .registry import Registry
from .verdicts import patience

logger = logging.getLogger("eda_django")

# Seconds until an event whose deliveries the database refuses is tried again.
UNROUTABLE_PAUSE = 60.0


class Router:
    """Decides who gets an event; what it can't decide is put aside, never in the way of others."""

    def __init__(
        self, using: str, subscriptions: Registry, gathering: Gathering | None = None
    ) -> None:
        self.using = using
        self.subscriptions = subscriptions
        self.events = OutboxEvent.objects.using(using)
        self.deliveries = Delivery.objects.using(using)
        self.gathering = gathering or Gathering(nothing_waits, clock=time.monotonic)
        # The last event of the last batch.
        self.last_id = 0

    def fan_out(
        self, limit: int, *, floor: int = 0, release: bool = True
    ) -> tuple[int, list[Chunk]]:
        """Fan out up to `limit` events of ids from `floor` on.

        Without `release`, those whose time has come are not looked for. Returns how many, and what
        is to be pushed.
        """
        try:
            with writing(self.using):
                if release and self.events.release_scheduled(limit):
                    # They may be older than any floor.
                    floor = 0
                events = self.events.lock_fresh(limit, floor=floor)
                if events:
                    self.last_id = events[-1].pk
                return len(events), self._route(events)
        except (DataError, IntegrityError):
            return self._fan_out_singly(limit, release=release)

    def _fan_out_singly(self, limit: int, *, release: bool) -> tuple[int, list[Chunk]]:
        """Find out which event the database refuses, so that it does not stop the others."""
        if release:
            # By itself: it was undone with the rest, and would be with every refused one.
            with writing(self.using):
                self.events.release_scheduled(limit)
        count, chunks = 0, list[Chunk]()
        while count < limit:
            with writing(self.using):
                events = self.events.lock_fresh(1)
                if not events:
                    break
                try:
                    with transaction.atomic(using=self.using):
                        chunks += self._route(events)
                except (DataError, IntegrityError) as error:
                    self._refuse(events[0], error)
            count += 1
        return count, chunks

    def _route(self, events: list[FreshEvent]) -> list[Chunk]:
        known: list[FreshEvent] = []
        unknown: list[FreshEvent] = []
        for event in events:
            (known if self.subscriptions.knows_type(event.type) else unknown).append(event)
        chunks = self._deliver(known)
        self.events.mark_relayed([event.pk for event in known])
        self._put_aside(unknown)
        return chunks

    def _deliver(self, events: list[FreshEvent]) -> list[Chunk]:
        queue = conf.get("QUEUE")
        rows = [
            NewDelivery(
                event_id=event.pk,
                subscriber=subscription.name,
                queue=subscription.queue or queue,
                key=event.key,
            )
            for event in events
            for subscription in self.subscriptions.matching(event.type)
        ]
        size = conf.get("CHUNK_SIZE")
        waits = self.gathering.seconds(_most_of_one(rows), size=size)
        for name, seconds in waits.items():
            self.deliveries.create_pending([r for r in rows if r.queue == name], seconds=seconds)
        return self.deliveries.create_queued(
            [row for row in rows if row.queue not in waits],
            size=size,
            lease=conf.get("LEASE"),
            behind=self.gathering.behind(),
        )

    def _put_aside(self, events: list[FreshEvent]) -> None:
        """Keep events of unknown types waiting, out of the way of the others."""
        for kind in sorted({event.type for event in events}):
            reason = f"no running code knows the event type {kind!r}"
            ids = [event.pk for event in events if event.type == kind]
            pause = patience(self.events.least_wait(ids))
            self.events.put_aside(ids, error=reason, seconds=pause)
            logger.warning(
                "events wait: %s; declare it with @event or subscribe to it by name events=%s",
                reason,
                len(ids),
            )

    def _refuse(self, event: FreshEvent, error: DatabaseError) -> None:
        # The first line: the second of PostgreSQL's shows the whole row.
        reason = f"the database refuses its deliveries: {first_line(error)}"
        self.events.put_aside([event.pk], error=reason, seconds=UNROUTABLE_PAUSE)
        logger.error("event was set aside id=%s type=%s: %s", event.pk, event.type, reason)


def _most_of_one(rows: list[NewDelivery]) -> dict[str, int]:
    """Return for each queue how many deliveries one subscription has there at most."""
    most: dict[str, int] = {}
    for (queue, _), count in Counter((row.queue, row.subscriber) for row in rows).items():
        most[queue] = max(count, most.get(queue, 0))
    return most
