"""P3, P4, P5 and P9: how fast a relay empties the outbox, and what must not slow it down."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import django_rq
from django.db import connection, connections

from benchmarks import filling, limit
from benchmarks.measure import Bar, Measure, Size
from benchmarks.shop.subscribers import note
from eda_django.models import Delivery, Status
from eda_django.registry import Registry, Subscription
from eda_django.relay import Relay


def subscriptions(count: int) -> Registry:
    """Return a registry with so many subscribers to the event."""
    registry = Registry()
    for n in range(count):
        registry.add(
            Subscription(name=f"bench.note{n}", subscriber=note, patterns=("bench.sale_made",))
        )
    return registry


def drained(count: int, *, subscribers: int = 1) -> float:
    """Drain with one relay; return the events a second."""
    relay = Relay(subscriptions=subscriptions(subscribers))
    began_at = time.perf_counter()
    relay.drain()
    took = time.perf_counter() - began_at
    queued = Delivery.objects.filter(status=Status.QUEUED).count()
    if queued != count * subscribers or not _jobs():
        raise RuntimeError(f"{queued} of {count * subscribers} deliveries are in {_jobs()} jobs.")
    return count / took


def _jobs() -> int:
    return int(django_rq.get_queue("default").count)


def prepared(count: int) -> None:
    filling.empty()
    filling.fill_outbox(count, base=2_000_000)
    filling.settle(count)


def library(size: Size) -> float:
    prepared(size.events)
    return drained(size.events)


def with_five(size: Size) -> float:
    """Return deliveries a second: each event makes five."""
    prepared(size.events)
    return drained(size.events, subscribers=5) * 5


def by_hand(size: Size) -> float:
    """Claim and mark by hand, in the same table."""
    prepared(size.events)
    return _timed(lambda: limit.drain(limit.FULL))


def by_hand_bare(size: Size) -> float:
    """Claim and mark by hand, in a table with one index."""
    filling.empty()
    filling.fill_limit_outbox(size.events)
    filling.settle(size.events)
    return _timed(lambda: limit.drain(limit.BARE))


def by_hand_pushing(size: Size) -> float:
    """Claim, mark, write deliveries and push by hand."""
    prepared(size.events)
    with filling.redis() as client:
        return _timed(lambda: limit.drain_and_push(limit.FULL, client))


def _timed(work: Callable[[], int]) -> float:
    began_at = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - began_at)


P3 = Measure(
    number="P3",
    title="draining {events:,} events with one relay",
    unit="events/s",
    contestants={
        "library": library,
        "limit": by_hand,
        "limit that pushes": by_hand_pushing,
        "limit, bare table": by_hand_bare,
    },
    bars=[
        Bar(name="library ÷ limit", of="library", over="limit", at_least=0.45),
        Bar(name="library ÷ limit, bare table", of="library", over="limit, bare table"),
        Bar(name="library ÷ limit that pushes", of="library", over="limit that pushes"),
    ],
)

P5 = Measure(
    number="P5",
    title="draining {events:,} events to five subscribers",
    unit="deliveries/s",
    contestants={"one": library, "five": with_five},
    bars=[Bar(name="five ÷ one", of="five", over="one", at_least=1.5)],
)


# P4: what stands beside must not matter


def among_few(size: Size) -> float:
    prepared(size.few)
    return drained(size.few)


def among_many(size: Size) -> float:
    prepared(size.many)
    return drained(size.many)


def beside(fill: Callable[[Size], None]) -> Callable[[Size], float]:
    """Return a run that drains as many events as among_few(), with other rows in the tables."""

    def run(size: Size) -> float:
        filling.empty()
        fill(size)
        filling.fill_outbox(size.few, base=2_000_000)
        filling.settle(size.few)
        return drained(size.few)

    return run


def scheduled(size: Size) -> None:
    filling.fill_outbox(size.scheduled, scheduled=True)


def blocked(size: Size) -> None:
    filling.fill_outbox(size.blocked, relayed=True)
    filling.fill_deliveries("waiting")


def finished(size: Size) -> None:
    filling.fill_outbox(size.finished, relayed=True)
    filling.fill_deliveries("succeeded")


beside_finished = beside(finished)

P4 = Measure(
    number="P4",
    title="draining {few:,} events, and what stands beside them",
    unit="events/s",
    contestants={
        "few": among_few,
        "many": among_many,
        "scheduled": beside(scheduled),
        "blocked": beside(blocked),
        "finished": beside_finished,
    },
    bars=[
        Bar(name="among {many:,} ÷ among {few:,}", of="many", over="few", at_least=0.9),
        Bar(name="beside {scheduled:,} scheduled ÷ none", of="scheduled", over="few", at_least=0.9),
        Bar(name="beside {blocked:,} blocked ÷ none", of="blocked", over="few", at_least=0.9),
        Bar(name="beside {finished:,} finished ÷ none", of="finished", over="few", at_least=0.9),
    ],
)


# P9: a transaction that is held open elsewhere


class Claims:
    """An execute wrapper that times the statements which claim events."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        began_at = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            if "FOR UPDATE" in sql and "eda_django_outboxevent" in sql:
                self.milliseconds.append((time.perf_counter() - began_at) * 1000)


@contextmanager
def held_transaction() -> Iterator[None]:
    """Hold a transaction open that has read, so that no dead row version can go."""
    is_open, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        other = connections["default"]
        with other.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT COUNT(*) FROM bench_sale")
            is_open.set()
            is_over.wait()
            cursor.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    is_open.wait(30)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def claims(size: Size, *, beside: bool = False) -> list[float]:
    """Return the milliseconds of each claim while so many events go through."""
    prepared(size.held)
    found = Claims()
    with held_transaction() if beside else nullcontext(), connection.execute_wrapper(found):
        drained(size.held)
    return found.milliseconds


def claim(size: Size) -> float:
    """Return the median milliseconds of a claim."""
    return statistics.median(claims(size))


def claim_beside_a_held_transaction(size: Size) -> float:
    return statistics.median(claims(size, beside=True))


P9 = Measure(
    number="P9",
    title="a claim, {held:,} events going through, beside a transaction that is held open",
    unit="ms",
    contestants={"alone": claim, "beside": claim_beside_a_held_transaction},
    bars=[Bar(name="beside ÷ alone", of="beside", over="alone", at_most=1.8)],
    databases=("postgresql",),
)
