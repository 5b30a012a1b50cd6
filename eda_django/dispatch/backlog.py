"""How far behind the workers of a queue are, reckoned from its lengths after the relay's pushes."""

from collections.abc import Callable
from dataclasses import dataclass

# Jobs that were to be taken by now, at the pace so far, before the queue counts as standing still.
OVERDUE = 3


@dataclass(slots=True)
class _Mark:
    """A queue's length at a time after which at least one job was taken."""

    at: float
    length: int
    # Seconds for a job, whoever of the workers takes it; None as long as none has been seen taken.
    pace: float | None = None
    empty_at: float = 0.0


class Backlog:
    """The queues in which jobs wait for a worker that is busy.

    A queue that nobody works on is not behind: what it holds back is not to delay any other.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._marks: dict[str, _Mark] = {}

    def note(self, queue: str, *, jobs: int, length: int) -> None:
        """Take note that so many jobs were pushed, and of the queue's length after that."""
        now = self._clock()
        ahead = length - jobs
        mark = self._marks.get(queue)
        if mark is None or ahead <= 0 or ahead > mark.length:
            # Empty, or filled by others too: nothing to reckon with.
            self._marks[queue] = _Mark(now, length)
            return
        taken, seconds = mark.length - ahead, now - mark.at
        if taken:
            mark = self._marks[queue] = _Mark(now, length, seconds / taken)
        else:
            mark.length = length
            if mark.pace is not None and seconds > OVERDUE * mark.pace:
                mark.pace = None
        mark.empty_at = now + length * mark.pace if mark.pace else 0.0

    def seconds(self) -> dict[str, float]:
        """Return the queues that are behind, and after how many seconds each will be empty."""
        now = self._clock()
        return {
            queue: mark.empty_at - now for queue, mark in self._marks.items() if mark.empty_at > now
        }
