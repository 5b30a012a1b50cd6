"""A service that is down for a while as customers order: nobody but an operator notices."""

import time
from collections.abc import Callable

from .customers import Visit
from .switches import Switches


class Outage:
    """Stops a service after two fifths of the customers, and starts it after three."""

    def __init__(
        self,
        service: str,
        *,
        switches: Switches,
        customers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self.switches = switches
        self.begins, self.ends = customers * 2 // 5, customers * 3 // 5
        self.confirmed = 0
        self.seconds = 0.0
        self._clock = clock
        self._visits = 0
        self._since = 0.0

    def note(self, visit: Visit) -> None:
        """Count a customer who leaves; stop or start the service if it is time."""
        if self.begins <= self._visits < self.ends:
            self.confirmed += len(visit.order_ids)
        self._visits += 1
        if self._visits == self.begins < self.ends:
            self.switches.turn(self.service, on=False)
            self._since = self._clock()
        elif self._visits == self.ends > self.begins:
            self.switches.turn(self.service, on=True)
            self.seconds = self._clock() - self._since

    def __str__(self) -> str:
        return (
            f"{self.service} was down for {self.seconds:.1f} s: "
            f"{self.confirmed} orders were confirmed meanwhile."
        )
