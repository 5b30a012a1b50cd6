"""Until when the deliveries of a queue that is behind are gathered, before they become a job.

A worker that forks for each job gets through some twenty a second. With a job for each event it
falls ever further behind as soon as events come faster; with many in one it does not.
"""

from collections.abc import Callable, Collection, Mapping

# Seconds for each job that every worker of the queue has before it, about what a fork takes, and
# the most. Workers that don't fork may be idle for a part of it; they get more at once then.
EACH, MOST = 0.05, 0.2


def nothing_waits() -> Mapping[str, int]:
    """Say that no queue is behind."""
    return {}


class Gathering:
    """Decides for each queue by itself: what is slow holds up nothing else."""

    def __init__(
        self, ahead: Callable[[], Mapping[str, int]], *, clock: Callable[[], float]
    ) -> None:
        self.most = MOST
        # More is due than a batch takes: what is gathered would wait behind it.
        self.is_held_up = False
        self._ahead = ahead
        self._clock = clock
        self._until: dict[str, float] = {}

    def behind(self) -> Collection[str]:
        """Return the queues in which a job waits for every worker already."""
        return self._ahead()

    def seconds(self, counts: Mapping[str, int], *, size: int) -> dict[str, float]:
        """Return for how long to gather in which queues.

        `counts` has the most new deliveries that one subscription has there: not if they are
        enough for a job of `size`. And not for longer than an earlier call has said: all that
        comes until then is due at once.
        """
        if self.is_held_up:
            return {}
        ahead = self._ahead()
        return {
            queue: seconds
            for queue, count in counts.items()
            if count < size and (seconds := self._left(queue, ahead.get(queue, 0))) > 0
        }

    def _left(self, queue: str, ahead: int) -> float:
        now = self._clock()
        if ahead and self._until.get(queue, now) <= now:
            self._until[queue] = now + min(ahead * EACH, self.most)
        return self._until.get(queue, now) - now
