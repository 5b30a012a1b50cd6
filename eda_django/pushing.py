"""Handing chunks to the transport, and what becomes of those that it does not take."""

import logging
from collections import Counter
from uuid import UUID

from .chunks import Chunk
from .exceptions import TransportUnavailable
from .models import Delivery
from .models.status import UNPUSHABLE
from .transport import Transport

logger = logging.getLogger("eda_django")

# Seconds until a chunk that can't be pushed, for a reason of its own, is tried again.
REFUSED_PAUSE = 15.0


class Pusher:
    """Hands chunks to a transport; what that does not take goes back, and no attempt burns."""

    def __init__(self, using: str, transport: Transport) -> None:
        self.using = using
        self.transport = transport
        self.deliveries = Delivery.objects.using(using)

    def push(self, chunks: list[Chunk]) -> int:
        """Push, and return how many deliveries were moved on by it."""
        if not chunks:
            return 0
        try:
            refused = self.transport.push(chunks, using=self.using)
        except TransportUnavailable:
            # Should any of it have arrived, its jobs find their claims gone and do nothing.
            for chunk in chunks:
                self.deliveries.release(chunk.token, chunk.delivery_ids)
            raise
        for chunk in chunks:
            if chunk.token in refused:
                self._refuse(chunk, refused[chunk.token])
        _log_refusals(chunks, refused)
        # What is put aside was moved on, too; what is only given back was not.
        return sum(len(chunk.delivery_ids) for chunk in chunks if refused.get(chunk.token) != "")

    def _refuse(self, chunk: Chunk, reason: str) -> None:
        if not reason:
            self.deliveries.release(chunk.token, chunk.delivery_ids)
            return
        self.deliveries.put_aside(
            chunk.token,
            chunk.delivery_ids,
            kind=UNPUSHABLE,
            reason=reason,
            seconds=REFUSED_PAUSE,
        )


def _log_refusals(chunks: list[Chunk], refused: dict[UUID, str]) -> None:
    """Say it once for each subscriber, however many chunks it is about."""
    counts: Counter[tuple[str, str]] = Counter()
    for chunk in chunks:
        if reason := refused.get(chunk.token):
            counts[chunk.subscriber, reason] += len(chunk.delivery_ids)
    for (subscriber, reason), count in counts.items():
        logger.error("can't push count=%s deliveries for %s: %s", count, subscriber, reason)
