"""P1 and P2: what a request pays for its events."""

from collections.abc import Callable
from functools import partial

import django_rq

from benchmarks import filling, limit, timing
from benchmarks.business.sales import as_dict, sell
from benchmarks.measure import Bar, Measure, Size
from benchmarks.shop import jobs
from benchmarks.shop.sales import sale_made
from eda_django import publish, publish_many
from eda_django.dispatch import doorbell
from eda_django.models import OutboxEvent

SEVERAL = 5


def without(number: int) -> None:
    sell(number)


def library(number: int) -> None:
    sell(number)
    publish(sale_made(number))


def library_many(number: int) -> None:
    sell(number)
    publish_many([sale_made(number)] * SEVERAL)


def raw(number: int) -> None:
    sell(number)
    limit.insert_event(number)


def raw_many(number: int) -> None:
    sell(number)
    limit.insert_events([number] * SEVERAL)


def plain(number: int) -> None:
    """Enqueue as django-rq does by default: when the transaction commits."""
    sell(number)
    django_rq.enqueue(jobs.note, as_dict(number))


def plain_many(number: int) -> None:
    sell(number)
    for _ in range(SEVERAL):
        django_rq.enqueue(jobs.note, as_dict(number))


def transactions(work: Callable[[int], None]) -> Callable[[Size], float]:
    """Return a run of so many transactions; its figure is milliseconds for each.

    The doorbell's thread shares the interpreter, and it is waited for at the end: its work is
    in the figure.
    """

    def run(size: Size) -> float:
        filling.empty()
        took = timing.transactions(work, size.transactions, finish=partial(doorbell.flush, 5.0))
        if work is library and OutboxEvent.objects.count() != size.transactions + 1:
            raise RuntimeError("Not every transaction left its event.")
        return took

    return run


P1 = Measure(
    number="P1",
    title="a transaction of one INSERT, with one event",
    unit="ms",
    contestants={
        "without": transactions(without),
        "library": transactions(library),
        "limit": transactions(raw),
        "django-rq": transactions(plain),
    },
    bars=[
        Bar(name="with an event ÷ without", of="library", over="without", at_most=1.40),
        Bar(name="hand-written ÷ without", of="limit", over="without"),
        Bar(name="django-rq ÷ without", of="django-rq", over="without"),
    ],
    times=4,
)

P2 = Measure(
    number="P2",
    title="the same with five events",
    unit="ms",
    contestants={
        "without": transactions(without),
        "library": transactions(library_many),
        "limit": transactions(raw_many),
        "django-rq": transactions(plain_many),
    },
    bars=[
        Bar(name="with five events ÷ without", of="library", over="without", at_most=1.9),
        Bar(name="hand-written ÷ without", of="limit", over="without"),
        Bar(name="django-rq ÷ without", of="django-rq", over="without"),
    ],
    times=4,
)
