"""The pauses of a relay while the database or Redis is away, and what it says about them."""

import logging
import random

from django.db import connections

from .exceptions import first_line

logger = logging.getLogger("eda_django")

# Seconds to wait; doubled each time, up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0


class Outage:
    """False while all is well."""

    def __init__(self, name: str) -> None:
        self.pause = 0.0
        self._name = name

    def __bool__(self) -> bool:
        return self.pause > 0

    def report(self, error: Exception, what: str) -> None:
        """Say what is away, once in an outage."""
        if not self:
            logger.error("%s error=%s: %s", what, type(error).__qualname__, first_line(error))

    def longer(self) -> float:
        """Return for how many seconds to wait now."""
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        return self.pause * random.uniform(0.5, 1.0)

    def end(self) -> None:
        """All is well; say so if it was not."""
        if self:
            logger.info("relay works again name=%s", self._name)
            self.pause = 0.0


def database_trouble(using: str) -> str:
    """Say what an error of the database means for a relay: asked after it, and outside a block."""
    connection = connections[using]
    if connection.connection is not None and connection.is_usable():
        # A deadlock, a lock that was waited for too long: nothing has changed, nobody is away.
        return "relay turn was undone by the database, it is tried again"
    return "relay has lost its database, it tries again until it is back"
