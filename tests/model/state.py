"""What the model remembers: the tables, Redis, and where each process stands."""

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

ABSENT, PENDING, QUEUED, RUNNING = "absent", "pending", "queued", "running"
SUCCEEDED, DEAD = "succeeded", "dead"
ENDED = (SUCCEEDED, DEAD)
# An event's life; before its commit nobody but the publisher sees it.
OPEN, FRESH, RELAYED, ROLLED_BACK = "open", "fresh", "relayed", "rolled back"
# The token of a row under no claim, and that of a claim which no row is under any more.
NO_TOKEN, STALE = 0, -1


class Delivery(NamedTuple):
    """A row of the deliveries' table."""

    status: str = ABSENT
    token: int = NO_TOKEN
    attempts: int = 0
    # Whether lease_until has passed.
    lapsed: bool = False
    isolated: bool = False
    # How many Attempt rows it has.
    failures: int = 0
    # What its subscriber left behind in the business tables.
    effects: int = 0


class Job(NamedTuple):
    """A chunk, or the RQ job that carries it."""

    token: int
    ids: tuple[int, ...]


class Execution(NamedTuple):
    """What a worker knows of a delivery since it read the row."""

    pk: int
    attempts: int


class Relay(NamedTuple):
    """A relay before its next step, with the claims in hand."""

    at: str = "idle"
    jobs: tuple[Job, ...] = ()


class Worker(NamedTuple):
    """A worker before its next step, with the delivery in hand first in `work`."""

    at: str = "idle"
    job: Job = Job(NO_TOKEN, ())
    work: tuple[Execution, ...] = ()


class State(NamedTuple):
    """Everything, at one moment."""

    events: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    redis: tuple[Job, ...]
    relays: tuple[Relay, ...]
    workers: tuple[Worker, ...]
    # How many faults there were so far.
    faults: int = 0

    def new_token(self) -> int:
        """Return a token that nobody remembers."""
        return 1 + max({NO_TOKEN, *self.held_tokens(), *(row.token for row in self.deliveries)})

    def held_tokens(self) -> set[int]:
        """Every token that Redis or a process remembers."""
        held = {job.token for job in self.redis}
        for worker in self.workers:
            held.add(worker.job.token)
        for relay in self.relays:
            for job in relay.jobs:
                held.add(job.token)
        return held


def initial(*, events: int, relays: int, workers: int, status: str = FRESH) -> State:
    """Return the state before anything has happened."""
    return State(
        events=(status,) * events,
        deliveries=(Delivery(),) * events,
        redis=(),
        relays=(Relay(),) * relays,
        workers=(Worker(),) * workers,
    )


def canonical(state: State) -> State:
    """Return the one state that stands for all that differ only in names and in order.

    A token is named after the first delivery under it. Guards compare tokens with rows only, and
    a token is never given twice: those that no row is under any more are as good as each other.
    """
    events, rows, redis, relays, workers, faults = state
    held = state.held_tokens()
    names = _live_tokens(rows, held)
    if any(names.get(row.token) != row.token for row in rows):
        rows = tuple(row._replace(token=names.get(row.token, NO_TOKEN)) for row in rows)
    if any(names.get(token, STALE) != token for token in held):
        redis = _renamed(redis, names)
        relays = tuple(Relay(at, _renamed(jobs, names)) for at, jobs in relays)
        workers = tuple(Worker(at, _renamed((job,), names)[0], w) for at, job, w in workers)
    return State(
        events,
        rows,
        tuple(sorted(redis)),
        tuple(sorted(relays)),
        tuple(sorted(workers)),
        faults,
    )


def forgetful(state: State) -> State:
    """Have every process that can only find its claim gone find so at once.

    Without the fence this would be wrong; with it, it saves nine states of ten.
    """
    held = state.held_tokens()
    live = _live_tokens(state.deliveries, held)
    if live.keys() >= held:
        return state
    return state._replace(
        relays=tuple(_forgetful_relay(relay, live) for relay in state.relays),
        workers=tuple(_forgetful_worker(worker, live) for worker in state.workers),
    )


def _live_tokens(rows: Iterable[Delivery], held: Container[int]) -> dict[int, int]:
    """Return the tokens that a comparison could still find, each with its canonical name."""
    names = {NO_TOKEN: NO_TOKEN}
    for number, row in enumerate(rows, 1):
        if row.token not in names and (row.token in held or row.status not in ENDED):
            names[row.token] = number
    return names


def _renamed(jobs: tuple[Job, ...], names: Mapping[int, int]) -> tuple[Job, ...]:
    return tuple(Job(names.get(token, STALE), ids) for token, ids in jobs)


def _forgetful_relay(relay: Relay, live: Container[int]) -> Relay:
    if relay.at in ("push", "commit"):
        return relay
    jobs = tuple(job for job in relay.jobs if job.token in live)
    return Relay(relay.at, jobs) if jobs else Relay()


def _forgetful_worker(worker: Worker, live: Container[int]) -> Worker:
    # A subscriber that was called goes on, whatever has become of its claim.
    is_calling = worker.at in ("inside", "settle")
    return worker if worker.job.token in live or is_calling else Worker()
