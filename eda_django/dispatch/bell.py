"""The doorbell's way through Redis: a list for each database, which relays wait at."""

from typing import Any

from django_rq import settings as django_rq_settings
from redis import Redis

from .. import conf
from ..doorbell import Doorbell
from .connections import connect, default_queue

# Seconds that a ring may take; there is a backstop, the relay's polling.
BELL_TIMEOUT = 0.5
# More rings than these say nothing that they do not. Where no relay hears them, not each is to pay
# for a second command: they are cut down when there are so many.
MAX_RINGS, TOO_MANY_RINGS = 10, 30


def bell_key(using: str) -> str:
    """Return the Redis key of a database's doorbell; other sites may share the Redis."""
    return f"eda_django:{conf.get('SOURCE')}:bell:{using}"


class _Bell:
    """The connection that rings; kept, because opening one takes longer than ringing."""

    def __init__(self) -> None:
        self._config: Any = None
        self._connection: Redis | None = None

    def ring(self, using: str) -> None:
        key, redis = bell_key(using), self._connected()
        if redis.lpush(key, 1) > TOO_MANY_RINGS:
            redis.ltrim(key, 0, MAX_RINGS - 1)

    def _connected(self) -> Redis:
        name = default_queue()
        config = django_rq_settings.QUEUES[name]
        if self._connection is None or config != self._config:
            self._connection = connect(name, BELL_TIMEOUT)
            self._config = dict(config)
        return self._connection


doorbell = Doorbell(_Bell().ring)


def ring(*, using: str, **_: Any) -> None:
    """Wake a relay of this database; receives events_committed and deliveries_released."""
    doorbell.ring(using)


def flush_doorbell(**_: Any) -> None:
    """Let the doorbell ring now; receives chunk_finished."""
    doorbell.flush(BELL_TIMEOUT)
