"""P6 and P7: what a worker gets through, and how soon it starts."""

import statistics
from collections.abc import Callable
from contextlib import ExitStack

import django_rq
from django.db import transaction

from benchmarks import filling, limit, timing
from benchmarks.business.models import Effect
from benchmarks.business.sales import as_dict
from benchmarks.measure import Bar, Measure, Size, variant
from benchmarks.processes import running, worker
from benchmarks.shop import jobs
from benchmarks.shop.events import SaleMade, SaleMadeByHand
from benchmarks.shop.sales import sale_made
from eda_django import publish, publish_many
from eda_django.relay import Relay

SIMPLE, FORKING = "rq.SimpleWorker", "rq.Worker"


def _publish_all(count: int, kind: type[SaleMade] = SaleMade) -> None:
    with transaction.atomic():
        publish_many([sale_made(number, kind) for number in range(count)])
    Relay().drain()


def _publish_by_hand(count: int) -> None:
    _publish_all(count, SaleMadeByHand)


def _enqueue_all(count: int) -> None:
    for number in range(count):
        django_rq.enqueue(jobs.note, as_dict(number))


def consumed(fill: Callable[[int], None], count: int, *, kind: str, workers: int = 1) -> float:
    """Have workers run what `fill` puts into their queue; return events a second."""
    filling.empty()
    # It stands before all of it, and starts the clock.
    django_rq.enqueue(jobs.mark)
    fill(count)
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(worker(kind))
        return timing.effects_a_second(count)


def bare(size: Size) -> float:
    filling.empty()
    return limit.consume(size.chunks)


def bare_but_for_the_subscriber(size: Size) -> float:
    """Have the subscriber's row written by Django, as the other contestants do."""
    filling.empty()
    return limit.consume_with_django(
        size.chunks, lambda number: Effect.objects.create(number=number)
    )


P6 = Measure(
    number="P6",
    title="consuming, a subscriber of one INSERT, one worker",
    unit="events/s",
    contestants={
        "library": lambda size: consumed(_publish_all, size.chunks, kind=SIMPLE),
        "django-rq": lambda size: consumed(_enqueue_all, size.jobs, kind=SIMPLE),
        "library, forking": lambda size: consumed(_publish_all, size.chunks, kind=FORKING),
        "django-rq, forking": variant(
            lambda size: consumed(_enqueue_all, size.forked_jobs, kind=FORKING)
        ),
        "library, two workers": variant(
            lambda size: consumed(_publish_all, size.chunks * 2, kind=SIMPLE, workers=2)
        ),
        "library, INSERT by hand": lambda size: consumed(
            _publish_by_hand, size.chunks, kind=SIMPLE
        ),
        "limit": bare,
        "limit, Django's INSERT": bare_but_for_the_subscriber,
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
        Bar(
            name="SimpleWorker: library ÷ limit with Django's INSERT",
            of="library",
            over="limit, Django's INSERT",
        ),
        Bar(
            name="SimpleWorker, the subscriber's INSERT by hand: library ÷ limit",
            of="library, INSERT by hand",
            over="limit",
        ),
        Bar(name="two SimpleWorkers ÷ one", of="library, two workers", over="library"),
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
    with ExitStack() as stack:
        stack.enter_context(worker(kind))
        if relay:
            stack.enter_context(running("relay"))
        return timing.waits(send, rate=rate, seconds=seconds)


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

    def lag(self, size: Size) -> float:
        """Return the median of the last third of that traffic ÷ that of the first.

        Of a worker that falls behind it grows and grows.
        """
        third = max(1, len(self._last) // 3)
        return statistics.median(self._last[-third:]) / statistics.median(self._last[:third])

    def p99(self, size: Size) -> float:
        """Return that of the traffic whose p50 was asked for before."""
        return timing.percentile(self._last, 0.99)


_simple = Waits(_publish_one, kind=SIMPLE, rate=20, relay=True)
_simple_plain = Waits(_enqueue_one, kind=SIMPLE, rate=20, relay=False)
_forking = Waits(_publish_one, kind=FORKING, rate=5, relay=True)
_forking_plain = Waits(_enqueue_one, kind=FORKING, rate=5, relay=False)
_busy = Waits(_publish_one, kind=FORKING, rate=20, relay=True)
_busy_plain = Waits(_enqueue_one, kind=FORKING, rate=20, relay=False)

P7 = Measure(
    number="P7",
    title="from the commit to the subscriber's start, in quiet traffic",
    unit="ms; end ÷ begin has none",
    contestants={
        "library p50": _simple.p50,
        "library p99": _simple.p99,
        "django-rq p50": _simple_plain.p50,
        "django-rq p99": _simple_plain.p99,
        "library, forking p50": variant(_forking.p50),
        "library, forking p99": variant(_forking.p99),
        "django-rq, forking p50": variant(_forking_plain.p50),
        "django-rq, forking p99": variant(_forking_plain.p99),
        "library, forking at 20/s p50": variant(_busy.p50),
        "library, forking at 20/s, end ÷ begin": variant(_busy.lag),
        "django-rq, forking at 20/s p50": variant(_busy_plain.p50),
        "django-rq, forking at 20/s, end ÷ begin": variant(_busy_plain.lag),
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
        ),
        # Of a worker that falls behind it would be several.
        Bar(
            name="forking Worker at 20/s, last third of the time ÷ first",
            of="library, forking at 20/s, end ÷ begin",
            at_most=1.5,
        ),
        Bar(
            name="the same, django-rq",
            of="django-rq, forking at 20/s, end ÷ begin",
        ),
    ],
)
