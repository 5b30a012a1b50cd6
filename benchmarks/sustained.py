"""P11: the rate that a relay and two workers keep up with, everything on one machine."""

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from benchmarks import filling, timing
from benchmarks.consuming import SIMPLE
from benchmarks.measure import Absent, Bar, Measure, Size, variant
from benchmarks.processes import running, worker
from benchmarks.shop.sales import sale_made
from eda_django import publish_many
from eda_django.models import Delivery, OutboxEvent, Status

# Seconds between two looks at the backlog; and looks at least.
SAMPLE, LOOKS = 1.0, 10
RATES = (200, 300, 400)
# The most events of one transaction, where the publisher is late.
MOST = 50


def backlog() -> int:
    """Return how many events and deliveries are not finished, read from indexes of these alone."""
    pending = Delivery.objects.filter(status=Status.PENDING)
    claimed = Delivery.objects.filter(lease_until__isnull=False)
    return int(OutboxEvent.objects.fresh().count() + pending.count() + claimed.count())


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
        middle = self.samples[-1].at / 2
        return [sample for sample in self.samples if sample.at >= middle]

    def growth(self, size: Size) -> float:
        """Return by how many rows a second the backlog grew."""
        filling.empty()
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(worker(SIMPLE))
            relay = stack.enter_context(running("relay"))
            timing.warm_up(lambda number: _publish([number]))
            self._run(size.sustained_seconds, relay=relay.pid)
        times = [sample.at for sample in self.second_half]
        rows = [sample.backlog for sample in self.second_half]
        return statistics.linear_regression(times, rows).slope

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

    def _run(self, seconds: float, *, relay: int) -> None:
        """Publish what is due, each event alone: more at once only if the publisher is late.

        So it keeps to its rate also where relay and workers do not.
        """
        every = min(SAMPLE, seconds / LOOKS)
        began_at = time.monotonic()
        self.samples = []
        number = 0
        while (at := time.monotonic() - began_at) < seconds:
            if at >= len(self.samples) * every:
                self.samples.append(Sample(at, backlog(), resident(relay), dead_rows()))
            if due := min(int(at * self.rate) - number, MOST):
                _publish(range(number, number + due))
                number += due
            else:
                time.sleep(0.001)
        self.samples.append(Sample(at, backlog(), resident(relay), dead_rows()))
        self.published = number / at


def _publish(numbers: Iterable[int]) -> None:
    with transaction.atomic():
        publish_many([sale_made(number) for number in numbers])


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
        # One in a thousand.
        Bar(name="200/s, backlog", of="200/s, backlog", at_most=0.2),
        Bar(name="200/s, relay's memory", of="200/s, relay's memory", at_most=5.0),
        Bar(name="200/s, published", of="200/s, published", at_least=196),
        # Each event leaves three dead versions beside two rows: without any vacuum, 60.
        Bar(name="200/s, dead rows", of="200/s, dead rows", at_most=30),
        Bar(name="300/s, backlog", of="300/s, backlog"),
        Bar(name="400/s, backlog", of="400/s, backlog"),
    ],
)
