"""What happens in a soak: publishing and faults for a while, then neither until all is done."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from example_project.demo.pieces import Piece
from example_project.demo.redis_server import RedisServer
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests.soak import faults, pieces, publisher
from tests.soak.faults import Cast, Fault, Injector
from tests.soak.outside import Outside, Standing
from tests.soak.pieces import Forked
from tests.soak.place import Place
from tests.soak.recoveries import Pending, Recoveries
from tests.soak.session import PUBLISHERS, RELAYS, SQLITE_RELAYS, WORKERS

TICK = 0.05
LOOK = 0.25
STAND, RARE_LINE = 2.0, 10.0
# Deliveries that wait before publishers are slowed down, and before they may go on.
MOST_WAITING, FEW_WAITING = 200, 100
# SQLite has one writer, who is often frozen.
SQLITE_MOST, SQLITE_FEW = 60, 30
# Seconds without any change after which nothing more is to be hoped for.
PATIENCE = 120.0


class Run:
    """The pieces of a soak, and what is done to them."""

    def __init__(
        self,
        place: Place,
        supervisor: Supervisor,
        switches: Switches,
        redis: RedisServer,
        *,
        seed: int,
        console: Console,
    ) -> None:
        self.place, self.supervisor, self.switches = place, supervisor, switches
        self.redis, self.seed, self.console = redis, seed, console
        self.outside = Outside(place.log("lock"))
        self.recoveries = Recoveries(on_recovery=self._note_recovery)
        self._faults_log = place.log("faults").open("w")
        self.counters = [place.counters / str(number) for number in range(PUBLISHERS)]
        self.publishers = [self._publisher(number) for number in range(PUBLISHERS)]
        self.relays = [
            pieces.relay(f"relay-{number}", place.log(f"relay-{number}"))
            for number in range(SQLITE_RELAYS if place.is_sqlite else RELAYS)
        ]
        self.workers = [
            pieces.worker(f"worker-{number}", place.log(f"worker-{number}"), *queues, kind=kind)
            for number, (kind, *queues) in enumerate(WORKERS)
        ]
        self.injector = Injector(self._faults(), self._cast(), self._note)
        self.drained_in = 0.0
        self._began_at = time.monotonic()
        self._next_look = self._next_stand = self._next_line = 0.0

    def start(self) -> None:
        started: list[Piece] = [self.redis, *self.relays, *self.workers, *self.publishers]
        for piece in started:
            self.supervisor.add(piece)

    def disturb(self, seconds: float) -> None:
        """Inject faults for so long, while everything works as well as it can."""
        self._began_at = time.monotonic()
        with self._live() as live:
            while time.monotonic() - self._began_at < seconds:
                self.injector.step()
                self._look(live)
                time.sleep(TICK)

    def drain(self) -> None:
        """End publishing and faults; wait until everything is done, or nothing moves any more."""
        began = moved_at = time.monotonic()
        self.injector.end()
        for piece in self.publishers:
            self.switches.turn(piece.name, on=False)
        self.place.hold.unlink(missing_ok=True)
        before = None
        with self._live() as live:
            while time.monotonic() - moved_at < PATIENCE:
                self.recoveries.see(self.outside.new_notes())
                standing = self.outside.standing()
                self._show(standing, live)
                if not standing.backlog and not any(p.is_running for p in self.publishers):
                    break
                if standing != before:
                    before, moved_at = standing, time.monotonic()
                time.sleep(LOOK)
        self.drained_in = time.monotonic() - began

    def _publisher(self, number: int) -> Forked:
        name = f"publisher-{number}"
        options = {
            "seed": self.seed,
            "number": number,
            "counter": self.counters[number],
            # Its switch: off, it ends by itself and is not started again.
            "stop": self.place.switches / f"{name}.off",
            "hold": self.place.hold,
        }
        return Forked(name, self.place.log(name), publisher.work, name, options)

    def _faults(self) -> Iterator[Fault]:
        special = faults.SQLITE_WEIGHTS if self.place.is_sqlite else faults.SERVER_WEIGHTS
        return faults.sequence(self.seed, {**faults.WEIGHTS, **special})

    def _cast(self) -> Cast:
        return Cast(
            relays=self.relays,
            workers=self.workers,
            publishers=self.publishers,
            redis=self.redis,
            database=self.outside,
            let_redis_run=lambda on: self.switches.turn("redis", on=on),
        )

    def _note(self, kind: str, hit: str, killed: int) -> None:
        """Begin to wait for the next delivery that what was hit completes."""
        published = {
            str(number): publisher.Counter(path).value for number, path in enumerate(self.counters)
        }
        if hit.startswith("publisher"):
            number = hit.partition("-")[2]
            published = {number: published[number]}
        self._log(f"{kind}: {hit} {killed or ''}")
        self.recoveries.begin(kind, hit=hit, killed=killed, after=published)

    def _note_recovery(self, fault: Pending, seconds: float) -> None:
        self._log(f"  {fault.hit} works again {seconds:.1f} s after: {fault.kind}")

    def _log(self, text: str) -> None:
        # With the time that the processes' logs have, too.
        print(f"{datetime.now(UTC):%H:%M:%S.%f} {text}", file=self._faults_log, flush=True)

    def _look(self, live: Live | None) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK
            self.recoveries.see(self.outside.new_notes())
        if now >= self._next_stand:
            self._next_stand = now + STAND
            standing = self.outside.standing()
            self._hold_back(standing.backlog)
            self._show(standing, live)

    def _hold_back(self, waiting: int) -> None:
        is_sqlite = self.place.is_sqlite
        if waiting > (SQLITE_MOST if is_sqlite else MOST_WAITING):
            self.place.hold.touch()
        elif waiting < (SQLITE_FEW if is_sqlite else FEW_WAITING):
            self.place.hold.unlink(missing_ok=True)

    def _live(self) -> AbstractContextManager[Live | None]:
        if not self.console.is_terminal:
            return nullcontext()
        return Live(console=self.console, auto_refresh=False, transient=True)

    def _show(self, standing: Standing, live: Live | None) -> None:
        if live:
            live.update(self._line(standing), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + RARE_LINE
            self.console.print(self._line(standing))

    def _line(self, standing: Standing) -> str:
        minutes = (time.monotonic() - self._began_at) / 60
        struck = self.injector.struck.total()
        return (
            f"{minutes:.1f} min · {standing.events:,} events · {standing.delivered:,} delivered · "
            f"{struck:,} faults · {standing.backlog:,} waiting"
        )
