"""Rings the doorbell beside the request: never an error in it, never a wait."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("eda_django")

# Seconds that a thread with nothing to ring stays, and that a leaving process waits for it.
IDLE = 10.0
PARTING = 0.5
# Seconds between two rings: commits that come faster share one, as a relay's turn takes longer.
GAP = 0.01
# Seconds without trying after a failure; doubled for each further one, up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class Doorbell:
    """Rings in a thread of its own, once for all commits that come while it rings.

    `push` is called with the database's alias, and may raise or hang for as long as its own
    timeouts allow. After a failure nothing is tried for a while: the relay polls anyway.
    """

    _thread: threading.Thread | None
    _silent_until: float

    def __init__(
        self, push: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._push = push
        self._clock = clock
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush, PARTING)

    def ring(self, using: str) -> None:
        """Have the relay of this database woken, soon; returns at once."""
        with self._lock:
            if using in self._wanted or self._clock() < self._silent_until:
                return
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="eda_django.doorbell", daemon=True)
                # A process that ends or has no threads left raises here, and keeps none.
                thread.start()
                self._thread = thread
            self._wanted.add(using)
            self._is_wanted.notify()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is rung, at most `seconds`; return whether it is."""
        with self._lock:
            self._flushing += 1
            self._is_hurried.notify()
            try:
                return self._is_rung.wait_for(lambda: not (self._wanted or self._busy), seconds)
            finally:
                self._flushing -= 1

    def _reset(self) -> None:
        # A fork copies neither the thread nor a usable lock.
        self._lock = threading.Lock()
        # Apart, so that a ring in the gap after another wakes nobody: each would cost a commit the
        # interpreter's lock.
        self._is_wanted = threading.Condition(self._lock)
        self._is_rung = threading.Condition(self._lock)
        self._is_hurried = threading.Condition(self._lock)
        self._wanted: set[str] = set()
        self._busy = False
        self._flushing = 0
        self._thread = None
        self._silent_until = 0.0
        self._pause = FIRST_PAUSE

    def _run(self) -> None:
        while (wanted := self._next()) is not None:
            try:
                for using in wanted:
                    self._push(using)
            except Exception as error:
                self._fall_silent(error)
            else:
                self._pause = FIRST_PAUSE
            with self._lock:
                self._busy = False
                self._is_rung.notify_all()
                self._is_hurried.wait_for(lambda: self._flushing > 0, GAP)

    def _next(self) -> set[str] | None:
        with self._lock:
            if not self._is_wanted.wait_for(lambda: bool(self._wanted), IDLE):
                self._thread = None
                return None
            wanted, self._wanted = self._wanted, set()
            self._busy = True
            return wanted

    def _fall_silent(self, error: Exception) -> None:
        # Once an outage, because the pauses of one without end would fill the log.
        logger.log(
            logging.WARNING if self._pause == FIRST_PAUSE else logging.DEBUG,
            "doorbell does not ring, relays poll meanwhile error=%s: %s",
            type(error).__qualname__,
            error,
        )
        with self._lock:
            self._wanted.clear()
            self._silent_until = self._clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
