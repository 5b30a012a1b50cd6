"""What stands in the queues, and who works on them; for people to look at."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rq import Queue
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from .connections import connect, queues_in_use, server_of
from .jobs import answers_of

# Seconds that somebody who looks at a page may have to wait for a Redis that hangs.
TIMEOUT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Jobs that wait in a queue, and workers that live and take from it.

    `is_paused`: RQ's workers were suspended, with all queues of this Redis. `is_away`: this Redis
    does not answer, or can't be reached as RQ_QUEUES says, and nothing is known.
    """

    name: str
    depth: int
    workers: int
    is_paused: bool = False
    is_away: bool = False


def queue_states() -> list[QueueState] | None:
    """Return the queues of the running code's subscriptions; None if no Redis answers.

    Two round trips for each Redis server.
    """
    by_server: dict[str, list[str]] = defaultdict(list)
    for name in queues_in_use():
        by_server[server_of(name)].append(name)
    found = sorted((s for part in by_server.values() for s in _known(part)), key=lambda s: s.name)
    return None if found and all(state.is_away for state in found) else found


def _known(names: list[str]) -> list[QueueState]:
    """Return the queues of one server, also if it is away."""
    try:
        return list(_states(names))
    except Exception:
        # Not of Redis alone: an address that can't be read fails in many ways, some only now. The
        # relay says what is wrong with it; the page is for the others, too.
        return [QueueState(name=name, depth=0, workers=0, is_away=True) for name in names]


def _states(names: list[str]) -> Iterable[QueueState]:
    connection = connect(names[0], TIMEOUT)
    with connection.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.llen(Queue(name, connection=connection).key)
            pipe.smembers(WORKERS_BY_QUEUE_KEY % name)
        pipe.exists(WORKERS_SUSPENDED)
        *answers, suspended = answers_of(pipe)
    # Something else in the place of a queue, or of the list of its workers, is none of them.
    depths = [answer if isinstance(answer, int) else 0 for answer in answers[::2]]
    registered = [answer if isinstance(answer, set) else set() for answer in answers[1::2]]
    keys = sorted({key for found in registered for key in found})
    with connection.pipeline(transaction=False) as pipe:
        for key in keys:
            # A worker that died stays registered; the key that it renewed is gone.
            pipe.exists(key)
        alive = {key for key, is_there in zip(keys, pipe.execute(), strict=True) if is_there}
    for name, depth, found in zip(names, depths, registered, strict=True):
        yield QueueState(
            name=name,
            depth=depth,
            workers=len(alive & set(found)),
            is_paused=bool(suspended),
        )
