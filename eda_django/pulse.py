"""A relay's heartbeat row: it beats as long as the relay lives, and goes with it."""

import logging
import os
import socket
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError

from .models import RelayHeartbeat
from .version import __version__

logger = logging.getLogger("eda_django")

# Seconds between two beats; a relay unheard of for the second is forgotten.
HEARTBEAT, FORGOTTEN = 10.0, 86_400.0


class Pulse:
    """The sign of life of one relay."""

    def __init__(self, name: str, *, using: str, inline: bool, clock: Callable[[], float]) -> None:
        self._name = name
        self._inline = inline
        self._clock = clock
        self._rows = RelayHeartbeat.objects.using(using)
        self._next = float("-inf")

    def beat(self) -> None:
        """Beat, if it is time to."""
        now = self._clock()
        if now >= self._next:
            self._next = now + HEARTBEAT
            self._rows.beat(
                self._name,
                hostname=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                inline=self._inline,
            )
            self._rows.forget(older_than=FORGOTTEN)

    def end(self) -> None:
        """Take the row away, so that nobody misses a relay that has ended as it should."""
        try:
            self._rows.filter(name=self._name).delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("relay could not sign off: %s", error)
