"""A time limit for one call, inside the time limit that RQ sets for the whole job."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .exceptions import SubscriberTimeout

# Seconds in which to acknowledge what was done in time, where RQ's limit has passed meanwhile: that
# was set when the job was pushed, perhaps by code that allowed the subscriber less.
GRACE = 5.0


@contextmanager
def time_limit(seconds: float | None, name: str) -> Iterator[None]:
    """Raise SubscriberTimeout in the body after `seconds`; None for no limit.

    There is one alarm a process: RQ's own is put aside and set again afterwards, less the time
    that has passed. Outside the main thread, where no alarm can be set, RQ's limit alone counts.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    started = time.monotonic()
    is_over = False

    def expire(signum: int, frame: FrameType | None) -> None:
        # RQ's limit counts again from here: the subscriber may swallow this exception.
        restore(at_least=0.001)
        raise SubscriberTimeout(f"Subscriber {name!r} took longer than its timeout, {seconds:g} s.")

    def restore(at_least: float) -> None:
        nonlocal is_over
        if is_over:
            return
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        # None stands for a handler that was not set from Python, and can't be set again.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if outer is None else outer)
        if outer_left:
            left = outer_left - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, at_least))

    outer_left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    outer = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        restore(at_least=GRACE)
