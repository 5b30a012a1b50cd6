"""Running the consumers in the relay's own process: `relay --inline`, and the tests of sites."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from .chunks import Chunk
from .consumer import consume
from .dispatch import limit_of

logger = logging.getLogger("eda_django")


class InlineTransport:
    """No transport at all: the consumers run in the relay's own process."""

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping

    def check(self) -> None:
        return

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        refused = {}
        for chunk in chunks:
            if self._stopping():
                refused[chunk.token] = ""
                continue
            try:
                consume(chunk.delivery_ids, token=chunk.token.hex, using=using, limit_of=limit_of)
            except SystemExit:
                # A subscriber's, and recorded as its failure. It ends a worker, not the relay.
                # Its text may be private.
                logger.warning("a subscriber of %s called exit", chunk.subscriber)
        return refused

    def ahead(self) -> Mapping[str, int]:
        return {}

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        # What this process does not run now, nobody runs: the claims of another inline relay
        # are shown by the delivery that runs.
        return set()

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        wake.wait(seconds)
        return False
