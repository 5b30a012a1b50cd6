"""Ctrl-C, and what else ends the demo: it comes where the demo can end in good order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Signals that raise KeyboardInterrupt in the main thread while they may, else wait.

    Set `may_come` to False for good where everything is being ended: what comes then is ignored.
    """

    def __init__(self) -> None:
        self.may_come = True
        self._waits = False

    def obey(self) -> None:
        # SIGINT too: a shell has what it starts in the background ignore that.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._come)
        # But under nohup the end of the terminal is meant to be survived.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._come)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let none come in the midst of this block; one that wants to comes at its end."""
        if threading.current_thread() is not threading.main_thread():
            # Where none ever comes.
            yield
            return
        before, self.may_come = self.may_come, False
        try:
            yield
        finally:
            self.may_come = before
        if self._waits and self.may_come:
            self._waits = False
            raise KeyboardInterrupt

    def _come(self, number: int, frame: FrameType | None) -> None:
        if self.may_come:
            raise KeyboardInterrupt
        self._waits = True


# Signals are the whole process's, so there is one for all.
interrupts = Interrupts()
