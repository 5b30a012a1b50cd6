"""A time limit for one call, inside the time limit that RQ sets for the whole job."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .exceptions import SubscriberTimeout


@contextmanager
def time_limit(seconds: float | None, name: str) -> Iterator[None]:
    """Raise SubscriberTimeout in the body after `seconds`; None for no limit.

    There is one alarm a process: RQ's own is put aside and set again afterwards, less the time
    that has passed. Outside the main thread, where no alarm can be set, RQ's limit alone counts.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(signum: int, frame: FrameType | None) -> None:
        raise SubscriberTimeout(f"Subscriber {name!r} took longer than its timeout, {seconds:g} s.")

    started = time.monotonic()
    outer = signal.signal(signal.SIGALRM, expire)
    outer_left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)
        if outer_left:
            left = outer_left - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
