"""How long it takes after a fault until what it hit has completed a delivery again."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A fault after which nothing has come yet."""

    kind: str
    struck_at: float
    hit: str
    # An effect by a worker that was hit ends it, or by its successor, but not by a work horse that
    # has outlived this process,
    killed: int
    # or else one of an event published after the fault: publisher's number, its last transaction.
    after: dict[str, int]

    def is_over(self, number: str, worker: str) -> bool:
        if self.hit.startswith("worker"):
            name, _, pid = worker.partition("/")
            return name == self.hit and int(pid) != self.killed
        publisher, n, *_ = number.partition(":")[2].split(".")
        return publisher in self.after and int(n) > self.after[publisher]


@dataclass(slots=True)
class Recoveries:
    """The faults whose end is waited for, and the longest time for each kind."""

    clock: Callable[[], float] = time.monotonic
    longest: dict[str, float] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    # Told of each fault that is over, and how many seconds that took.
    on_recovery: Callable[[Pending, float], None] = lambda fault, seconds: None

    def begin(self, kind: str, *, hit: str, killed: int, after: dict[str, int]) -> None:
        self.pending.append(
            Pending(kind=kind, struck_at=self.clock(), hit=hit, killed=killed, after=after)
        )

    def see(self, notes: Iterable[str]) -> None:
        """Take note of new effects, each "number of the order, name of the worker"."""
        new = [note.partition(" ")[::2] for note in notes]
        now = self.clock()
        over = [p for p in self.pending if any(p.is_over(*effect) for effect in new)]
        for one in over:
            took = now - one.struck_at
            self.longest[one.kind] = max(self.longest.get(one.kind, 0.0), took)
            self.on_recovery(one, took)
        self.pending = [p for p in self.pending if p not in over]
