"""Keeps the demo's pieces running, and a service's worker as its switch says."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from .guardian import Guardian
from .pieces import Command, Piece
from .switches import Switches

TICK = 0.1
# Seconds: a piece that ends before has failed at once, and is not tried again at once.
YOUNG = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0


@dataclass(slots=True)
class Care:
    """What the supervisor knows of a piece."""

    pid: int | None = None
    started_at: float = 0.0
    not_before: float = 0.0
    pause: float = FIRST_PAUSE


class Supervisor:
    """Starts what should run and does not, in a thread, until the `with` block ends.

    What ends within `young` seconds is not tried again at once.
    """

    def __init__(
        self,
        *,
        switches: Switches,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        young: float = YOUNG,
    ) -> None:
        self.pieces: list[Piece] = []
        self.switches = switches
        self._say = say
        self._clock = clock
        self._young = young
        self._care: dict[str, Care] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> "Supervisor":
        self._guardian = Guardian()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every piece. Must not be interrupted."""
        self._ending.set()
        self._thread.join()
        for piece in self.pieces:
            if isinstance(piece, Command):
                piece.ask_to_stop()
        # Backwards: Redis was started first, and the others need it to sign off.
        for piece in reversed(self.pieces):
            piece.stop()
        self._guardian.close()
        self._say("Everything is stopped.")

    def add(self, piece: Piece) -> None:
        """Start a piece and keep it running; what keeps it from starting now is raised."""
        with self._lock:
            self._care[piece.name] = Care()
            # Before it starts: one that is interrupted meanwhile has to be ended too.
            self.pieces.append(piece)
            try:
                self._start(piece)
            except Exception:
                self.pieces.remove(piece)
                raise

    def is_up(self, name: str) -> bool:
        return any(piece.is_running for piece in self.pieces if piece.name == name)

    def tick(self) -> None:
        """Look at every piece once."""
        with self._lock:
            for piece in self.pieces:
                self._look_at(piece)

    def _run(self) -> None:
        while not self._ending.wait(TICK):
            self.tick()

    def _look_at(self, piece: Piece) -> None:
        is_wanted = self.switches.is_on(piece.name)
        if not piece.is_running:
            self._notice_end(piece)
            if is_wanted and self._clock() >= self._care[piece.name].not_before:
                self._restart(piece)
        elif not is_wanted and isinstance(piece, Command):
            piece.ask_to_stop()

    def _restart(self, piece: Piece) -> None:
        try:
            self._start(piece)
        except (OSError, RuntimeError) as error:
            self._say(f"{piece.name} can't be started, it is tried again soon: {error}")
            self._care[piece.name].not_before = self._clock() + LONGEST_PAUSE

    def _start(self, piece: Piece) -> None:
        care = self._care[piece.name]

        def watch(pid: int) -> None:
            self._forget(care)
            care.pid = pid
            self._guardian.watch(pid)

        try:
            piece.start(on_fork=watch)
        except Exception:
            self._forget(care)
            raise
        care.started_at = self._clock()

    def _forget(self, care: Care) -> None:
        if care.pid:
            self._guardian.forget(care.pid)
            care.pid = None

    def _notice_end(self, piece: Piece) -> None:
        """Say once that a piece has ended, and when it is to start again."""
        care = self._care[piece.name]
        if care.pid is None:
            return
        self._forget(care)
        if isinstance(piece, Command) and piece.was_asked:
            self._say(f"{piece.name} is stopped, as asked.")
            care.not_before = 0.0
        elif self._clock() - care.started_at >= self._young:
            self._say(f"{piece.name} died and is started again.")
            care.not_before, care.pause = 0.0, FIRST_PAUSE
        else:
            self._say(
                f"{piece.name} failed at once, it is tried again in {care.pause:.0f} s:\n"
                f"{piece.tail()}"
            )
            care.not_before = self._clock() + care.pause
            care.pause = min(care.pause * 2, LONGEST_PAUSE)
