"""Which workers are alive, by RQ's own registry."""

from collections import Counter

import django_rq
from rq import Worker

# Every beat of a worker gives its entry at least a minute more than the next beat is away (RQ's
# Worker.heartbeat): whoever has less than this left, in milliseconds, has missed one.
LEAST_LEFT = 55_000


def alive_by_queue() -> Counter[str]:
    """Return how many living workers each queue has. Raises redis.RedisError."""
    connection = django_rq.get_connection("default")
    found: Counter[str] = Counter()
    for worker in Worker.all(connection=connection):
        # A worker that was killed stays registered until its entry expires, minutes later.
        if connection.pttl(worker.key) >= LEAST_LEFT:
            found.update(worker.queue_names())
    return found
