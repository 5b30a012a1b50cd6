"""P11: the rate that a relay and two workers keep up with, everything on one machine."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from benchmarks import filling, timing
from benchmarks.consuming import SIMPLE
from benchmarks.measure import Absent, Bar, Measure, Size, variant
from benchmarks.processes import running, worker
from benchmarks.shop.sales import sale_made
from eda_django import publish
from eda_django.models import OutboxEvent
from eda_django.models.delivery import Delivery

# Seconds between two looks at the backlog.
SAMPLE = 1.0
RATES = (200, 300, 400)


def backlog() -> int:
    """Return how many events and deliveries are not finished."""
    return int(OutboxEvent.objects.fresh().count() + Delivery.objects.unfinished().count())


def resident(pid: int) -> float:
    """Return the MiB that a process has in memory; 0 where the system doesn't say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def dead_rows() -> float:
    """Return the share of dead row versions in the tables, in per cent; on PostgreSQL only."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 100.0 * SUM(n_dead_tup) / GREATEST(SUM(n_live_tup + n_dead_tup), 1) "
            "FROM pg_stat_user_tables "
            "WHERE relname IN ('eda_django_outboxevent', 'eda_django_delivery')"
        )
        return float(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at what there is; in seconds, rows, MiB and per cent."""

    at: float
    backlog: int
    memory: float
    dead: float


def is_vacuumed() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW autovacuum")
        return bool(cursor.fetchone()[0] == "on")


class Stretch:
    """One stretch of steady publishing: how the backlog, the relay's memory and the tables grew.

    In the second half of the time: until then the relay comes to have all that it keeps, and
    PostgreSQL looks for the first time whether there is something to vacuum.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.published = 0.0
        self.samples: list[Sample] = []

    @property
    def points(self) -> list[tuple[float, float]]:
        """The backlog over time."""
        return [(sample.at, sample.backlog) for sample in self.samples]

    @property
    def second_half(self) -> list[Sample]:
        return self.samples[len(self.samples) // 2 :]

    def growth(self, size: Size) -> float:
        """Return by how many rows a second the backlog grew."""
        filling.empty()
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(worker(SIMPLE))
            relay = stack.enter_context(running("relay"))
            timing.warm_up(_publish_one)
            self._publish(size.sustained_seconds, relay=relay.pid)
        first, last = self.second_half[0], self.second_half[-1]
        return (last.backlog - first.backlog) / max(last.at - first.at, SAMPLE)

    def memory(self, size: Size) -> float:
        """Return the MiB by which the relay grew in the stretch before."""
        return self.second_half[-1].memory - self.second_half[0].memory

    def rate_reached(self, size: Size) -> float:
        """Return the events a second that could be published in the stretch before."""
        return self.published

    def dead_share(self, size: Size) -> float:
        """Return the greatest share of dead row versions in the stretch before."""
        if connection.vendor != "postgresql":
            raise Absent("only PostgreSQL tells")
        if not is_vacuumed():
            raise Absent("autovacuum is off on this server")
        return max(sample.dead for sample in self.second_half)

    def _publish(self, seconds: float, *, relay: int) -> None:
        began_at = sampled_at = time.monotonic()
        self.samples = []
        number = 0

        def look() -> None:
            at = time.monotonic() - began_at
            self.samples.append(Sample(at, backlog(), resident(relay), dead_rows()))

        look()
        while (now := time.monotonic()) - began_at < seconds:
            if (late := (now - began_at) * self.rate - number) < 1:
                time.sleep(0.001)
            for _ in range(int(late)):
                with transaction.atomic():
                    _publish_one(number)
                number += 1
            if now - sampled_at >= SAMPLE:
                sampled_at = now
                look()
        look()
        self.published = number / self.samples[-1].at


def _publish_one(number: int) -> None:
    publish(sale_made(number))


def _contestants() -> dict[str, Callable[[Size], float]]:
    found: dict[str, Callable[[Size], float]] = {}
    for rate in RATES:
        stretch = Stretch(rate)
        runs = {
            "backlog": stretch.growth,
            "relay's memory": stretch.memory,
            "published": stretch.rate_reached,
            "dead rows": stretch.dead_share,
        }
        for name, run in runs.items():
            found[f"{rate}/s, {name}"] = run if rate == RATES[0] else variant(run)
    return found


P11 = Measure(
    number="P11",
    title="sustained, a relay and two workers: growth of the backlog, and of what there is",
    unit="rows/s, MiB, 1/s, %",
    contestants=_contestants(),
    bars=[
        # One in a hundred: a backlog that is flat still goes up and down.
        Bar(name="200/s, backlog", of="200/s, backlog", at_most=2.0),
        Bar(name="200/s, relay's memory", of="200/s, relay's memory", at_most=5.0),
        Bar(name="200/s, published", of="200/s, published", at_least=196),
        # Each event leaves three dead versions beside two rows: without any vacuum, 60.
        Bar(name="200/s, dead rows", of="200/s, dead rows", at_most=50),
        Bar(name="300/s, backlog", of="300/s, backlog"),
        Bar(name="400/s, backlog", of="400/s, backlog"),
    ],
)
