"""A shop under a steady load, and what is done to it to see how long recovery takes."""

import math
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Max

from example_project.demo.redis_server import RedisServer
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests.soak.faults import answers
from tests.soak.patience import PATIENCE, TICK, patiently, until
from tests.soak.place import LEASE, Place
from tests.soak.session import SQLITE_RELAYS
from tests.soak.throughput import SHARE, share_from, time_back

WORKERS = 3
# Seconds that the load runs before something is done to it, and that are watched after.
BEFORE, AFTER = 8.0, 12.0
# What is promised, in seconds.
WORKER_LIMIT, BACK_LIMIT = LEASE + 5.0, 10.0
# The same of nearly all events, after the death of one relay of two. What it had just claimed has
# to wait for its lease.
RELAY_LIMIT, NEARLY_ALL = 1.0, 0.99
# Seconds between two events whose delay is taken.
PROBE = 0.25
# How the notes of the load's effects begin; the number of the event comes next.
LOAD = "paid:9."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `limit` is in seconds, None where nothing is promised."""

    what: str
    seconds: tuple[float, ...]
    limit: float | None = None

    @property
    def is_kept(self) -> bool:
        return self.limit is None or max(self.seconds) <= self.limit

    def line(self) -> str:
        limit = "" if self.limit is None else f"{self.limit:.0f}"
        middle, longest = statistics.median(self.seconds), max(self.seconds)
        return f"| {self.what} | {len(self.seconds)} | {middle:.2f} | {longest:.2f} | {limit} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which recovery is measured; `down`: seconds that a server stays away."""

    down: float
    worker_class: str


class Shop:
    """Relays and workers, and a publisher that keeps its pace."""

    def __init__(
        self,
        place: Place,
        supervisor: Supervisor,
        switches: Switches,
        redis: RedisServer,
        restart_server: Callable[[float], None] | None,
        conditions: Conditions,
    ) -> None:
        from tests.soak import pieces
        from tests.soak.outside import Outside
        from tests.soak.pieces import Forked

        self.place, self.supervisor, self.switches = place, supervisor, switches
        self.redis_server, self.restart_server = redis, restart_server
        self.conditions = conditions
        self.outside = Outside(place.log("lock"))
        self._publisher: Forked | None = None
        self._probes = self._probed = 0
        relays = SQLITE_RELAYS if place.is_sqlite else 2
        self.relays = [pieces.relay(f"relay-{n}", place.log(f"relay-{n}")) for n in range(relays)]
        kind = conditions.worker_class
        self.workers = [
            pieces.worker(f"worker-{n}", place.log(f"worker-{n}"), "fast", "slow", kind=kind)
            for n in range(WORKERS)
        ]
        supervisor.add(redis)
        for piece in (*self.relays, *self.workers):
            supervisor.add(piece)

    # What is measured

    def worker(self, trials: int, rate: int) -> list[Row]:
        """Kill the worker that runs a delivery; wait until that is started again elsewhere."""
        return [
            Row(
                what="a killed worker's delivery starts again",
                seconds=tuple(self._kill_worker(n) for n in range(trials)),
                limit=WORKER_LIMIT,
            )
        ]

    def relay(self, trials: int, rate: int) -> list[Row]:
        """Kill one of the relays; compare the delay of events before and after."""
        before: list[float] = []
        after: list[float] = []
        with self._load(rate):
            for _ in range(trials):
                before += self._delays(BEFORE)
                pid = self.relays[0].pid
                assert pid
                os.kill(pid, signal.SIGKILL)
                after += self._delays(AFTER)
        is_alone = len(self.relays) == 1
        count = "one relay" if is_alone else "two relays"
        what = "the same, from a relay's death on"
        rows = [
            Row(what=f"from publish to effect, {count}", seconds=tuple(before)),
            Row(what=what, seconds=tuple(after), limit=LEASE + 5.0),
        ]
        if not is_alone:
            nearly_all = sorted(after)[: math.ceil(len(after) * NEARLY_ALL)]
            what += f", {NEARLY_ALL:.0%} of them"
            rows.append(Row(what=what, seconds=tuple(nearly_all), limit=RELAY_LIMIT))
        return rows

    def redis(self, trials: int, rate: int) -> list[Row]:
        return [self._back("throughput is back after Redis is", self._bounce_redis, trials, rate)]

    def connections(self, trials: int, rate: int) -> list[Row]:
        what = "throughput is back after all connections were cut"
        return [self._back(what, lambda: self.outside.cut(None), trials, rate)]

    def server(self, trials: int, rate: int) -> list[Row]:
        assert self.restart_server
        restart = partial(self.restart_server, self.conditions.down)
        what = "throughput is back after the database server is"
        return [self._back(what, restart, trials, rate)]

    # How

    def _kill_worker(self, number: int) -> float:
        from tests.soak.site import Placed
        from tests.testapp.models import Effect

        name = f"placed:7.{number}.0"
        self._publish(Placed(name, 0, PATIENCE))
        victim = until(lambda: next((w for w in self.workers if name in w.tail()), None))
        pid = victim.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        done = Effect.objects.filter(subscriber="soak.reserve", note__startswith=name)
        until(done.exists)
        return time.monotonic() - began

    def _delays(self, seconds: float) -> list[float]:
        """Publish probes for so long; return how long each took to have its effect."""
        from tests.soak.site import Paid
        from tests.testapp.models import Effect

        sent: dict[str, float] = {}
        found: list[float] = []
        ends_at = time.monotonic() + seconds
        done = Effect.objects.filter(subscriber="soak.mail", note__startswith="paid:8.")
        next_at = 0.0
        while time.monotonic() < ends_at or sent:
            if next_at <= time.monotonic() < ends_at:
                next_at = time.monotonic() + PROBE
                self._probes += 1
                self._publish(Paid(f"paid:8.{self._probes}.0"))
                sent[f"paid:8.{self._probes}.0"] = time.monotonic()
            for note in done.filter(pk__gt=self._probed).order_by("pk").values_list("note"):
                began = sent.pop(note[0].partition(" ")[0], None)
                if began is not None:
                    found.append(time.monotonic() - began)
            if time.monotonic() > ends_at + PATIENCE:
                raise TimeoutError(f"no effect of {', '.join(sent)}")
            time.sleep(TICK)
        self._probed = done.order_by("-pk").values_list("pk", flat=True)[0]
        return found

    def _back(self, what: str, do: Callable[[], Any], trials: int, rate: int) -> Row:
        with self._load(rate):
            seconds = tuple(self._time_back(do) for _ in range(trials))
        return Row(what=what, seconds=seconds, limit=BACK_LIMIT)

    def _time_back(self, do: Callable[[], Any]) -> float:
        """Return the seconds from which on there is the throughput that there was before.

        Of events that were published since: what the outage has held up is done faster than what
        comes in.
        """
        self.place.hold.touch()
        until(lambda: not self._waiting())
        number, floor = self._published(), self._last_effect()
        self.place.hold.unlink()
        until(lambda: self._count(floor, number))
        before, began = self._count(floor, number), time.monotonic()
        time.sleep(BEFORE)
        rate = (self._count(floor, number) - before) / (time.monotonic() - began)
        floor = self._last_effect()
        do()
        began, number = time.monotonic(), self._published()
        samples = [(began, self._count(floor, number))]
        back = share = None
        while share is None and time.monotonic() < began + PATIENCE:
            time.sleep(TICK)
            samples.append((time.monotonic(), self._count(floor, number)))
            if back is None and time.monotonic() >= began + BACK_LIMIT:
                back = time_back(samples, rate)
            if back is not None:
                share = share_from(back, samples, rate)
        if back is None or share is None or share < SHARE:
            found = "nothing steady" if share is None else f"{share:.1%} of them"
            raise TimeoutError(f"throughput did not come back to {rate:.1f} a second: {found}")
        return back

    def _published(self) -> int:
        """Return the number of the last event of the load."""
        return int.from_bytes((self.place.counters / "load").read_bytes(), "big")

    def _last_effect(self) -> int:
        from tests.testapp.models import Effect

        return patiently(lambda: Effect.objects.aggregate(Max("pk"))["pk__max"] or 0)

    def _count(self, floor: int, number: int) -> int:
        """Return how many effects there are of events of the load after this one."""
        from tests.testapp.models import Effect

        rows = Effect.objects.filter(pk__gt=floor, note__startswith=LOAD)
        notes = patiently(lambda: list(rows.values_list("note", flat=True)))
        return sum(int(note.split(".")[1]) > number for note in notes)

    def _waiting(self) -> int:
        from tests.soak.outside import backlog

        return backlog()

    def _bounce_redis(self) -> None:
        pid = self.redis_server.pid
        assert pid
        self.switches.turn("redis", on=False)
        os.kill(pid, signal.SIGKILL)
        time.sleep(self.conditions.down)
        self.switches.turn("redis", on=True)
        until(lambda: answers(self.redis_server))

    def _publish(self, payload: Any) -> None:
        from eda_django import publish

        with transaction.atomic():
            publish(payload)

    @contextmanager
    def _load(self, rate: int) -> Iterator[None]:
        from tests.soak import publisher
        from tests.soak.pieces import Forked

        self.place.hold.unlink(missing_ok=True)
        if self._publisher is None:
            self._publisher = Forked(
                "load",
                self.place.log("load"),
                publisher.steady,
                rate,
                self.place.counters / "load",
                self.place.hold,
            )
            self.supervisor.add(self._publisher)
        try:
            # Until everything has started.
            self._delays(1.0)
            yield
        finally:
            self.place.hold.touch()
