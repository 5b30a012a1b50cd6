"""The process of one peer, in its own environment: it measures what it is asked to.

A question is a line of JSON on standard input, its answer a line on standard output.
"""

import json
import os
import platform
import signal
import statistics
import sys
import time
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import version
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection


def main() -> None:
    # Its workers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Whatever the peer prints goes where its errors go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    turns = _begin()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": getattr(turns, question.pop("do"))(**question)}
        except Exception as error:
            answer = {"trouble": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _begin() -> "Turns":
    django.setup()
    peer = os.environ["BENCH_PEER"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {peer}")
    call_command("migrate", run_syncdb=True, verbosity=0)
    return Turns(import_module(f"benchmarks.peers.sites.{peer}").SITE)


class Turns:
    """The questions; a method each."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self._waits: list[float] = []

    def versions(self, names: list[str]) -> str:
        python = f"python {platform.python_version()}"
        return ", ".join([*(f"{name} {version(name)}" for name in names), python])

    def transactions(self, count: int) -> float:
        from benchmarks.business.sales import sell

        def work(number: int) -> None:
            sell(number)
            self.site.publish(number)

        return self._published(work, count)

    def transactions_of_many(self, count: int, events: int) -> float:
        from benchmarks.business.sales import sell

        def work(number: int) -> None:
            sell(number)
            self.site.publish_many([number] * events)

        return self._published(work, count, events=events)

    def _published(self, work: Any, count: int, *, events: int = 1) -> float:
        from benchmarks import timing

        self._empty()
        took = timing.transactions(work, count)
        # One before them warms up.
        left, expected = self.site.left(), (count + 1) * events
        if left != expected:
            raise RuntimeError(f"There are {left} events left, and not {expected}.")
        return took

    def drained(self, count: int) -> float:
        self._empty()
        self.site.backlog(count)
        self._settle()
        began_at = time.perf_counter()
        self.site.drain()
        return count / (time.perf_counter() - began_at)

    def consumed(self, count: int) -> float:
        from benchmarks import timing

        self._empty()
        self.site.open()
        # The first starts the clock.
        for number in range(-1, count):
            timing.in_transaction(self.site.publish, number)
        self.site.hand_over()
        with self.site.worker()():
            return timing.effects_a_second(count)

    def waits(self, rate: float, seconds: float) -> float:
        """Return the median; the others can be asked for afterwards."""
        from benchmarks import timing

        self._empty()
        self.site.open()
        with ExitStack() as stack:
            for process in (self.site.worker(), *self.site.relays):
                stack.enter_context(process())
            self._waits = timing.waits(self.site.publish, rate=rate, seconds=seconds)
        return statistics.median(self._waits)

    def percentile(self, share: float) -> float:
        from benchmarks import timing

        return timing.percentile(self._waits, share)

    def _empty(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(self._tables())} CASCADE")
        self.site.empty()

    def _settle(self) -> None:
        with connection.cursor() as cursor:
            for table in self._tables():
                cursor.execute(f"VACUUM ANALYZE {table}")
            cursor.execute("CHECKPOINT")

    def _tables(self) -> list[str]:
        """Return the business's tables and the peer's, and not those of Django's own apps."""
        return [
            model._meta.db_table
            for model in apps.get_models()
            if not model.__module__.startswith("django.contrib.")
        ]


if __name__ == "__main__":
    main()
