"""In which queues jobs wait for a worker, as far as the relay's last pushes can tell."""

from collections.abc import Callable

# Seconds that the length of a queue is believed after it was read.
BELIEVED = 1.0


class Backlog:
    """How many jobs each worker of a queue had still before it when the relay pushed more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._read: dict[str, tuple[float, int]] = {}

    def note(self, queue: str, *, jobs: int, length: int, workers: int) -> None:
        """Take note of a push of so many jobs, and of the queue's length and workers after it."""
        self._read[queue] = self._clock(), (length - jobs) // max(workers, 1)

    def ahead(self) -> dict[str, int]:
        """Return the queues in which a job waits for every worker at least, and how many."""
        oldest = self._clock() - BELIEVED
        return {queue: jobs for queue, (at, jobs) in self._read.items() if jobs > 0 and at > oldest}
