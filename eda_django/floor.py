"""Where a relay's looks and claims begin, so that dead row versions need not be read each time.

A transaction that is held open elsewhere (a report, a backup) keeps PostgreSQL from removing them:
each claim from the start of the index then reads all that were claimed before. A floor below what
was claimed last spares that. It is only the fast path: ids commit out of order, so that a sweep
without it comes now and then.
"""

import time
from collections.abc import Callable

# How many ids below the last claim the floor is: those that may well commit after it.
SLACK = 1000
# Seconds of a look from which on it is worth a floor.
CHEAP = 0.002
# Seconds between two sweeps while there is a floor; more, if they would take more than a twentieth
# of the time.
SWEEP, SHARE = 1.0, 20.0
# Seconds of a sweep from which on even an idle relay must spare them.
DEAR = 0.02


class Floor:
    """Decides by what the sweeps cost whether the next look needs to be one."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached = 0
        self._took = self._took_before = 0.0
        self._swept_at = float("-inf")

    def begin(self) -> int:
        """Return the id that the next look begins at; 0 for a sweep."""
        is_due = self._clock() >= self._swept_at + max(SWEEP, SHARE * self._took)
        return 0 if is_due or self._took < CHEAP else self._reached

    def until_sweep(self) -> float:
        """Return the seconds for which a relay that found nothing must wait with a sweep."""
        # One alone may have been slow for another reason.
        if min(self._took, self._took_before) < DEAR:
            return 0.0
        return max(0.0, self._swept_at + SHARE * self._took - self._clock())

    def swept(self, seconds: float) -> None:
        """Note what a sweep took."""
        self._took_before, self._took = self._took, seconds
        self._swept_at = self._clock()

    def claimed(self, last_id: int) -> None:
        """Note the last event of a claim: events are claimed in the order of their ids."""
        self._reached = max(0, last_id - SLACK)
