"""P6 and P7: what a worker gets through, and how soon it starts."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import django_rq
from django.db import transaction
from django.db.models import Max, Min

from benchmarks import filling, limit
from benchmarks.measure import Bar, Measure, Size
from benchmarks.processes import running, wait_for, worker
from benchmarks.shop import jobs
from benchmarks.shop.models import Effect
from benchmarks.shop.sales import as_dict, sale_made
from eda_django import publish, publish_many
from eda_django.relay import Relay

SIMPLE, FORKING = "rq.SimpleWorker", "rq.Worker"


def _publish_all(count: int) -> None:
    with transaction.atomic():
        publish_many([sale_made(number) for number in range(count)])
    Relay().drain()


def _enqueue_all(count: int) -> None:
    for number in range(count):
        django_rq.enqueue(jobs.note, as_dict(number))


def consumed(fill: Callable[[int], None], count: int, *, kind: str) -> float:
    """Have one worker run what `fill` puts into its queue; return events a second.

    The clock starts with a job that stands before all of it, so that neither the worker's start
    nor the publisher is measured.
    """
    filling.empty()
    django_rq.enqueue(jobs.mark)
    fill(count)
    with worker(kind):
        wait_for(lambda: Effect.objects.count() >= count + 1, "the effects")
    times = Effect.objects.aggregate(first=Min("at"), last=Max("at"))
    return float(count / (times["last"] - times["first"]))


def bare(size: Size) -> float:
    filling.empty()
    return limit.consume(size.chunks)


P6 = Measure(
    number="P6",
    title="consuming, a subscriber of one INSERT, one worker",
    unit="events/s",
    contestants={
        "library": lambda size: consumed(_publish_all, size.chunks, kind=SIMPLE),
        "django-rq": lambda size: consumed(_enqueue_all, size.jobs, kind=SIMPLE),
        "library, forking": lambda size: consumed(_publish_all, size.chunks, kind=FORKING),
        "django-rq, forking": lambda size: consumed(_enqueue_all, size.forked_jobs, kind=FORKING),
        "limit": bare,
    },
    bars=[
        Bar(name="SimpleWorker: library ÷ django-rq", of="library", over="django-rq", at_least=2.5),
        Bar(
            name="forking Worker: library ÷ django-rq",
            of="library, forking",
            over="django-rq, forking",
            at_least=10,
        ),
        Bar(name="SimpleWorker: library ÷ limit", of="library", over="limit", at_least=0.7),
    ],
)


# P7: from the commit to the subscriber's start


def _publish_one(number: int) -> None:
    publish(sale_made(number))


def _enqueue_one(number: int) -> None:
    django_rq.enqueue(jobs.note, as_dict(number))


def latencies(
    send: Callable[[int], object], *, kind: str, rate: float, seconds: float, relay: bool
) -> list[float]:
    """Send at a steady rate; return the milliseconds from each commit to its subscriber's start."""
    filling.empty()
    count = max(2, int(rate * seconds))
    committed: dict[int, float] = {}
    with ExitStack() as stack:
        stack.enter_context(worker(kind))
        if relay:
            stack.enter_context(running("relay"))
        warm_up(send)
        began_at = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began_at + number / rate - time.monotonic()))
            with transaction.atomic():
                # Before the enqueue, so that its own time is part of the wait.
                transaction.on_commit(partial(_note, committed, number))
                send(number)
        wait_for(lambda: Effect.objects.filter(number__gte=0).count() >= count, "the effects")
    started = dict(Effect.objects.filter(number__gte=0).values_list("number", "at"))
    return sorted((started[number] - committed[number]) * 1000 for number in range(count))


def _note(committed: dict[int, float], number: int) -> None:
    committed[number] = time.time()


def warm_up(send: Callable[[int], object]) -> None:
    with transaction.atomic():
        send(-1)
    wait_for(Effect.objects.exists, "a worker that works")


class Waits:
    """The waits of one contestant in one round, asked for once for each percentile."""

    def __init__(self, send: Callable[[int], object], *, kind: str, rate: float, relay: bool):
        self.send, self.kind, self.rate, self.relay = send, kind, rate, relay
        self._last: list[float] = []

    def p50(self, size: Size) -> float:
        self._last = latencies(
            self.send,
            kind=self.kind,
            rate=self.rate,
            seconds=size.traffic_seconds,
            relay=self.relay,
        )
        return statistics.median(self._last)

    def p99(self, size: Size) -> float:
        """Return that of the traffic whose p50 was asked for before."""
        return self._last[int(len(self._last) * 0.99)]


_simple = Waits(_publish_one, kind=SIMPLE, rate=20, relay=True)
_simple_plain = Waits(_enqueue_one, kind=SIMPLE, rate=20, relay=False)
_forking = Waits(_publish_one, kind=FORKING, rate=5, relay=True)
_forking_plain = Waits(_enqueue_one, kind=FORKING, rate=5, relay=False)
_busy = Waits(_publish_one, kind=FORKING, rate=20, relay=True)
_busy_plain = Waits(_enqueue_one, kind=FORKING, rate=20, relay=False)

P7 = Measure(
    number="P7",
    title="from the commit to the subscriber's start, in quiet traffic",
    unit="ms",
    contestants={
        "library p50": _simple.p50,
        "library p99": _simple.p99,
        "django-rq p50": _simple_plain.p50,
        "django-rq p99": _simple_plain.p99,
        "library, forking p50": _forking.p50,
        "library, forking p99": _forking.p99,
        "django-rq, forking p50": _forking_plain.p50,
        "django-rq, forking p99": _forking_plain.p99,
        "library, forking at 20/s p50": _busy.p50,
        "django-rq, forking at 20/s p50": _busy_plain.p50,
    },
    bars=[
        Bar(name="SimpleWorker p50", of="library p50", over="django-rq p50", at_most=2.0),
        Bar(name="SimpleWorker p99", of="library p99", over="django-rq p99", at_most=2.0),
        Bar(
            name="forking Worker p50",
            of="library, forking p50",
            over="django-rq, forking p50",
            at_most=1.4,
        ),
        Bar(
            name="forking Worker p99",
            of="library, forking p99",
            over="django-rq, forking p99",
            at_most=2.0,
        ),
        Bar(
            name="forking Worker at 20/s p50",
            of="library, forking at 20/s p50",
            over="django-rq, forking at 20/s p50",
            at_most=1.0,
        ),
    ],
)
