"""P11: the rate that a relay and two workers keep up with, everything on one machine."""

import time
from collections.abc import Callable
from contextlib import ExitStack
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


class Stretch:
    """One stretch of steady publishing: how the backlog, the relay's memory and the tables grew."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.grown = self.published = self.dead = 0.0
        # Of each second, the time and the backlog.
        self.samples: list[tuple[float, int]] = []

    def growth(self, size: Size) -> float:
        """Return by how many rows a second the backlog grew, in the second half of the time."""
        filling.empty()
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(worker(SIMPLE))
            relay = stack.enter_context(running("relay"))
            timing.warm_up(_publish_one)
            before = resident(relay.pid)
            self._publish(size.sustained_seconds)
            self.grown = resident(relay.pid) - before
        half = self.samples[len(self.samples) // 2 :]
        (began_at, first), (ended_at, last) = half[0], half[-1]
        return (last - first) / max(ended_at - began_at, SAMPLE)

    def memory(self, size: Size) -> float:
        """Return the MiB by which the relay grew in the stretch before."""
        return self.grown

    def rate_reached(self, size: Size) -> float:
        """Return the events a second that could be published in the stretch before."""
        return self.published

    def dead_share(self, size: Size) -> float:
        """Return the greatest share of dead row versions in the stretch before."""
        if connection.vendor != "postgresql":
            raise Absent("only PostgreSQL tells")
        return self.dead

    def _publish(self, seconds: float) -> None:
        began_at = sampled_at = time.monotonic()
        self.samples, self.dead = [(0.0, backlog())], 0.0
        number = 0
        while (now := time.monotonic()) - began_at < seconds:
            if (late := (now - began_at) * self.rate - number) < 1:
                time.sleep(0.001)
            for _ in range(int(late)):
                with transaction.atomic():
                    _publish_one(number)
                number += 1
            if now - sampled_at >= SAMPLE:
                sampled_at = now
                self.samples.append((now - began_at, backlog()))
                self.dead = max(self.dead, dead_rows())
        self.samples.append((time.monotonic() - began_at, backlog()))
        self.published = number / self.samples[-1][0]


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
