"""P1 and P2: what a request pays for its events."""

from collections.abc import Callable, Mapping

import django_rq
from django.db import DEFAULT_DB_ALIAS, connection
from redis.exceptions import RedisError

from benchmarks import filling, limit, timing
from benchmarks.business.sales import as_dict, sell
from benchmarks.measure import Bar, Measure, Size
from benchmarks.shop import jobs
from benchmarks.shop.sales import sale_made
from eda_django import publish, publish_many
from eda_django.dispatch import doorbell
from eda_django.dispatch.bell import bell_key
from eda_django.models import OutboxEvent

SEVERAL = 5
# Seconds that the doorbell gets to ring.
PATIENCE = 5.0


def without(number: int) -> None:
    sell(number)


def library(number: int) -> None:
    sell(number)
    publish(sale_made(number))


def library_many(number: int) -> None:
    sell(number)
    publish_many([sale_made(number) for _ in range(SEVERAL)])


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


def in_outbox() -> int:
    return OutboxEvent.objects.count()


def in_limit_outbox() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {limit.BARE}")
        return int(cursor.fetchone()[0])


def in_queue() -> int:
    return int(django_rq.get_queue("default").count)


# What a contestant's events leave; each leaves its own, and none of the others'.
LEFT: Mapping[str, Callable[[], int]] = {
    "events in the outbox": in_outbox,
    "rows in the hand-written outbox": in_limit_outbox,
    "jobs in the queue": in_queue,
}
LIBRARY, BY_HAND, JOBS = LEFT


def transactions(
    work: Callable[[int], None], *, leaves: str = "", events: int = 1
) -> Callable[[Size], float]:
    """Return a run of so many transactions; its figure is milliseconds for each.

    The doorbell's thread shares the interpreter, and it is waited for at the end: its work is
    in the figure.
    """

    def run(size: Size) -> float:
        filling.empty()
        took = timing.transactions(work, size.transactions, finish=flushed)
        try:
            # One before them warms up.
            check_left({leaves: (size.transactions + 1) * events})
            if leaves == LIBRARY:
                check_rung()
        except RedisError as error:
            raise RuntimeError(f"Redis is away, so that something was left out: {error}") from error
        return took

    return run


def flushed() -> None:
    """Wait for the doorbell; a figure that its work is not in would flatter."""
    if not doorbell.flush(PATIENCE):
        raise RuntimeError(f"The doorbell has not rung within {PATIENCE:g} s. Is Redis there?")


def check_left(expected: Mapping[str, int]) -> None:
    """Compare what there is with what there must be, which is nothing where nothing is said."""
    for what, count in LEFT.items():
        if (found := count()) != expected.get(what, 0):
            raise RuntimeError(f"There are {found} {what}, and not {expected.get(what, 0)}.")


def check_rung() -> None:
    """Check that a relay would have been woken.

    The doorbell keeps quiet when Redis is away, and for a while after, so that its work would be
    missing from the figure.
    """
    with filling.redis() as client:
        rings = client.llen(bell_key(DEFAULT_DB_ALIAS))
    if not rings:
        raise RuntimeError(
            "No ring is at the doorbell: Redis was away while events were published."
        )


P1 = Measure(
    number="P1",
    title="a transaction of one INSERT, with one event",
    unit="ms",
    contestants={
        "without": transactions(without),
        "library": transactions(library, leaves=LIBRARY),
        "limit": transactions(raw, leaves=BY_HAND),
        "django-rq": transactions(plain, leaves=JOBS),
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
        "library": transactions(library_many, leaves=LIBRARY, events=SEVERAL),
        "limit": transactions(raw_many, leaves=BY_HAND, events=SEVERAL),
        "django-rq": transactions(plain_many, leaves=JOBS, events=SEVERAL),
    },
    bars=[
        Bar(name="with five events ÷ without", of="library", over="without", at_most=1.9),
        Bar(name="hand-written ÷ without", of="limit", over="without"),
        Bar(name="django-rq ÷ without", of="django-rq", over="without"),
    ],
    times=4,
)
