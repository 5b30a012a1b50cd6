"""What is timed, in the same words for every contestant; nothing here knows the library."""

import time
from collections.abc import Callable
from functools import partial

from django.db import transaction
from django.db.models import Max, Min

from benchmarks.business.models import Effect, Sale
from benchmarks.processes import wait_for

Work = Callable[[int], object]


def nothing() -> None:
    pass


def transactions(work: Work, count: int, *, finish: Callable[[], object] = nothing) -> float:
    """Return the milliseconds of each of so many transactions; one before them warms up.

    What `finish` waits for is in the figure.
    """
    in_transaction(work, 0)
    began_at = time.perf_counter()
    for number in range(count):
        in_transaction(work, number)
    finish()
    took = time.perf_counter() - began_at
    if Sale.objects.count() != count + 1:
        raise RuntimeError("Not every transaction left its row.")
    return took / count * 1000


def in_transaction(work: Work, number: int) -> None:
    with transaction.atomic():
        work(number)


def effects_a_second(count: int) -> float:
    """Wait for so many effects and one before them; return how many a second there were.

    The clock starts with the one before them, so that neither the worker's start nor the
    publisher is measured.
    """
    wait_for(lambda: Effect.objects.count() >= count + 1, "the effects")
    times = Effect.objects.aggregate(first=Min("at"), last=Max("at"))
    return float(count / (times["last"] - times["first"]))


def waits(send: Work, *, rate: float, seconds: float) -> list[float]:
    """Send at a steady rate; return the milliseconds from each commit to its subscriber's start.

    In the order of sending. One that is sent before shows that the worker works.
    """
    count = max(2, int(rate * seconds))
    committed: dict[int, float] = {}
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
    return [(started[number] - committed[number]) * 1000 for number in range(count)]


def warm_up(send: Work) -> None:
    in_transaction(send, -1)
    wait_for(Effect.objects.exists, "a worker that works")


def percentile(milliseconds: list[float], share: float) -> float:
    """Return the wait that this share is below; of few waits, the longest."""
    return sorted(milliseconds)[int(len(milliseconds) * share)]


def _note(committed: dict[int, float], number: int) -> None:
    committed[number] = time.time()
