"""P8, P10 and P12: what it costs to be there: idle, in statements, and at the start."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from benchmarks import filling
from benchmarks.measure import Bar, Measure, Size
from benchmarks.shop.sales import sale_made
from eda_django import publish, publish_many
from eda_django.consumer import consume
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.inline import InlineTransport
from eda_django.models import Delivery
from eda_django.relay import Relay
from example_project.demo.redis_server import free_port


class Counter:
    """An execute wrapper that counts statements; BEGIN, COMMIT and savepoints are none."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        # Not SQLite's stand-in for BEGIN, either.
        if not sql.startswith(("SAVEPOINT", "RELEASE", "UPDATE eda_django_relayheartbeat SET id")):
            self.count += 1
        return execute(sql, params, many, context)


# P8


class Idle:
    """A relay with nothing to do: its statements and its CPU, from one stretch of idling."""

    def __init__(self) -> None:
        self._cpu = 0.0

    def statements(self, size: Size) -> float:
        """Return statements a second."""
        filling.empty()
        relay, counter = Relay(), Counter()
        relay.turn()
        timer = threading.Timer(size.idle_seconds, relay.stop)
        timer.daemon = True
        timer.start()
        began_at, used = time.monotonic(), time.thread_time()
        with connection.execute_wrapper(counter):
            relay.run()
        took = time.monotonic() - began_at
        self._cpu = (time.thread_time() - used) / took * 100
        return counter.count / took

    def cpu(self, size: Size) -> float:
        """Return the share of a core, in per cent, of the stretch before."""
        return self._cpu


_idle = Idle()

P8 = Measure(
    number="P8",
    title="an idle relay",
    unit="1/s, %",
    contestants={"statements a second": _idle.statements, "CPU in per cent": _idle.cpu},
    bars=[
        Bar(name="statements a second", of="statements a second", at_most=1.0),
        Bar(name="CPU in per cent", of="CPU in per cent", at_most=1.0),
    ],
)


# P10


def statements_of_a_batch(count: int) -> float:
    """Return the statements of one turn that fans out and pushes so many events."""
    filling.empty()
    filling.fill_outbox(count)
    relay, counter = Relay(transport=RqTransport()), Counter()
    with connection.execute_wrapper(counter):
        relay.fan_out()
    return counter.count


def statements_of_a_chunk(count: int) -> float:
    """Return the statements of consuming a chunk of so many."""
    filling.empty()
    with transaction.atomic():
        publish_many([sale_made(number) for number in range(count)])
    chunks, counter = [], Counter()

    class Keeping(InlineTransport):
        def push(self, pushed: Any, *, using: str) -> Any:
            chunks.extend(pushed)
            return {}

    relay = Relay(transport=Keeping())
    relay.fan_out()
    # One chunk of all: fewer would be cut into four.
    rows = Delivery.objects.all()
    rows.update(token=chunks[0].token)
    ids = list(rows.values_list("pk", flat=True))
    with connection.execute_wrapper(counter):
        done = consume(ids, token=chunks[0].token.hex)
    if done != count:
        raise RuntimeError(f"{done} of {count} deliveries succeeded.")
    return counter.count


def statements_of_a_publish(count: int) -> float:
    filling.empty()
    counter = Counter()
    with connection.execute_wrapper(counter), transaction.atomic():
        publish(sale_made(1))
    return counter.count


def slope(count: Callable[[int], float]) -> Callable[[Size], float]:
    """Return what one more costs."""
    return lambda size: (count(20) - count(10)) / 10


P10 = Measure(
    number="P10",
    title="statements",
    unit="statements",
    contestants={
        "a batch of 20": lambda size: statements_of_a_batch(20),
        "one event more in a batch": slope(statements_of_a_batch),
        "a chunk of 20": lambda size: statements_of_a_chunk(20),
        "one delivery more in a chunk": slope(statements_of_a_chunk),
        "a publish": lambda size: statements_of_a_publish(1),
    },
    bars=[
        Bar(name="a batch, an event", of="one event more in a batch", at_most=0),
        # Of these, one is the subscriber's own.
        Bar(name="a chunk, a delivery", of="one delivery more in a chunk", at_most=3),
        Bar(name="a publish", of="a publish", at_most=1),
    ],
)


# P12

START = """
import time
began_at = time.perf_counter()
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS={apps!r},
    RQ_QUEUES={{"default": {{"HOST": "127.0.0.1", "PORT": {port}, "DB": 0}}}},
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
)
{imports}
import django
django.setup()
print((time.perf_counter() - began_at) * 1000)
"""
# Whose settings they are; and whatever is installed has been compiled before.
UNSET = ("DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE")
SITE = ["django.contrib.auth", "django.contrib.contenttypes", "benchmarks.business"]


def start(*apps: str, imports: str = "") -> Callable[[Size], float]:
    """Return a run that starts a Python, and measures Django's start in it, in milliseconds."""
    code = START.format(apps=[*SITE, *apps], imports=imports, port=free_port())

    def run(size: Size) -> float:
        environment = {k: v for k, v in os.environ.items() if k not in UNSET}
        answer = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return float(answer.stdout)

    return run


P12 = Measure(
    number="P12",
    title="Django's start",
    unit="ms",
    contestants={
        "neither": start(),
        "django-rq": start("django_rq"),
        "library": start("django_rq", "eda_django", "benchmarks.shop", imports="import eda_django"),
    },
    bars=[
        Bar(name="more than with django-rq", of="library", minus="django-rq", at_most=60),
        Bar(name="more than with neither", of="library", minus="neither", at_most=60),
    ],
    times=4,
)
