"""A chunk: the deliveries of one subscription that one RQ job carries."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

# What a job names. Not consume() itself, which no process can import before Django is set up.
JOB = "eda_django.job.consume"
# Seconds after which a worker gives the rest of a chunk back, so that other jobs of the queue get
# their turn.
TIME_SLICE = 15.0
# With fewer deliveries than this a job each costs nothing and lets idle workers share them.
SPREAD = 4


class Row(Protocol):
    """What cut() must know of a delivery."""

    @property
    def subscriber(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def isolated(self) -> bool: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Deliveries claimed under one token. The token is the fence: who lost it changes nothing."""

    token: UUID
    subscriber: str
    queue: str
    delivery_ids: tuple[int, ...]

    @property
    def job_id(self) -> str:
        return job_id(self.token)


def job_id(token: UUID) -> str:
    """Return the id of the RQ job that carries this claim; RQ takes letters, digits, `_`, `-`."""
    return f"eda-{token.hex}"


def cut(
    rows: Iterable[R], *, size: int, behind: Collection[str] = ()
) -> Iterator[tuple[UUID, list[R]]]:
    """Split rows into chunks of one subscription and queue each, every one with a new token.

    What once died with its worker runs alone, so that it takes nothing else with it. In queues that
    are `behind` a job waits for every worker, and each one more would wait longer.
    """
    groups: dict[tuple[str, str], list[R]] = defaultdict(list)
    for row in rows:
        if row.isolated:
            yield uuid4(), [row]
        else:
            groups[row.subscriber, row.queue].append(row)
    for (_, queue), group in groups.items():
        step = size if queue in behind else min(size, -(-len(group) // SPREAD))
        yield from ((uuid4(), part) for part in _split(group, step))


def _split(group: Sequence[R], step: int) -> Iterator[list[R]]:
    for start in range(0, len(group), step):
        yield list(group[start : start + step])
