"""Running the consumers in the relay's own process: `relay --inline`, and the tests of sites."""

import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError

from .chunks import Chunk
from .consumer import consume
from .dispatch import limit_of
from .exceptions import first_line
from .models import Delivery

logger = logging.getLogger("eda_django")

# Characters of an error that is kept as a reason.
LINE = 200


class InlineTransport:
    """No transport at all: the consumers run in the relay's own process."""

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping

    def check(self) -> None:
        return

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        refused = {}
        for place, chunk in enumerate(chunks, start=1):
            if self._stopping():
                refused[chunk.token] = ""
                continue
            try:
                consume(chunk.delivery_ids, token=chunk.token.hex, using=using, limit_of=limit_of)
            except SystemExit:
                # A subscriber's, and recorded as its failure. It ends a worker, not the relay.
                # Its text may be private.
                logger.warning("a subscriber of %s called exit", chunk.subscriber)
            except (OperationalError, InterfaceError):
                # The relay waits until that is over. This chunk waits for its lease, so that it
                # does not come again before the others.
                _give_back(chunks[place:], using)
                raise
            except Exception as error:
                refused[chunk.token] = _reason(error)
        return refused

    def ahead(self) -> Mapping[str, int]:
        return {}

    def has_queue(self, name: str) -> bool:
        return True

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        # What this process does not run now, nobody runs: the claims of another inline relay
        # are shown by the delivery that runs.
        return set()

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        wake.wait(seconds)
        return False


def _give_back(chunks: Sequence[Chunk], using: str) -> None:
    """Have what was not tried be due at once, if the database is there for that."""
    with suppress(DatabaseError, InterfaceError):
        for chunk in chunks:
            Delivery.objects.using(using).release(chunk.token, chunk.delivery_ids)


def _reason(error: Exception) -> str:
    """Return why the consumer broke off, and log where."""
    reason = f"{type(error).__qualname__}: {first_line(error, limit=LINE)}"
    # Without the errors that led to it: one of them may be a subscriber's, with private words.
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("consumer broke off error=%s\n%s", reason, frames)
    return reason
