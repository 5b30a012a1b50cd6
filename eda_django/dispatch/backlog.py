"""In which queues jobs wait for a worker, as far as the relay's last pushes can tell."""

from collections.abc import Callable

# Seconds that the length of a queue is believed after it was read.
BELIEVED = 1.0


class Backlog:
    """How many jobs were there already when the relay pushed more, queue by queue."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._read: dict[str, tuple[float, int]] = {}

    def note(self, queue: str, *, jobs: int, length: int) -> None:
        """Take note that so many jobs were pushed, and of the queue's length after that."""
        self._read[queue] = self._clock(), length - jobs

    def ahead(self) -> dict[str, int]:
        """Return the queues in which jobs wait, and how many."""
        oldest = self._clock() - BELIEVED
        return {queue: jobs for queue, (at, jobs) in self._read.items() if jobs > 0 and at > oldest}
