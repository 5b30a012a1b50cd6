"""A publisher: transaction after transaction, each drawn from the seed, until it must stop."""

import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction

from eda_django import publish, publish_many
from tests.soak import site
from tests.testapp.models import Order

KINDS = ("placed", "shipped", "refused")
WEIGHTS = (70, 27, 3)
MOST_EVENTS = 5
ROLLED_BACK, IDEMPOTENT, TWICE = 0.15, 0.2, 0.25
FAILING, SLOW, DEADLY = 0.1, 0.002, 0.1
# Seconds between two transactions, on average.
PAUSE = 0.15
# Seconds between two while too much waits. Not for ever: after a fault, something must come.
HELD = 5.0
# The slow outlast the lease; where there is one write lock, everybody would wait for them.
SLOW_SECONDS = {"sqlite": 0.3}
LONG = 4.5


class ChangedMind(Exception):
    """Rolls a transaction back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a publisher does in its nth transaction; drawn from the seed alone."""

    payloads: tuple[Any, ...]
    is_rolled_back: bool
    # With keys, and tried again until it works; "twice" at once, as a double click does.
    is_idempotent: bool
    is_twice: bool
    is_many: bool
    pause: float


def decide(seed: int, publisher: int, n: int, *, slow: float = LONG) -> Decision:
    draw = random.Random(f"{seed}/{publisher}/{n}")
    is_rolled_back = draw.random() < ROLLED_BACK
    is_idempotent = draw.random() < IDEMPOTENT
    kinds = draw.choices(KINDS, WEIGHTS, k=draw.randint(1, MOST_EVENTS))
    return Decision(
        payloads=tuple(
            payload(draw, kind, f"{kind}:{publisher}.{n}.{i}", slow) for i, kind in enumerate(kinds)
        ),
        is_rolled_back=is_rolled_back,
        is_idempotent=is_idempotent,
        is_twice=is_idempotent and draw.random() < TWICE,
        is_many=not is_idempotent and draw.random() < 0.5,
        pause=draw.uniform(0, 2 * PAUSE),
    )


def payload(draw: random.Random, kind: str, number: str, slow: float) -> Any:
    if kind == "placed":
        fail = draw.randint(1, 3) if draw.random() < FAILING else 0
        return site.Placed(number, fail, slow if draw.random() < SLOW else 0.0)
    if kind == "refused":
        return site.Refused(number, deadly=draw.random() < DEADLY)
    return site.TYPES[kind](number)


class Counter:
    """The number of the transaction at hand, in a file: a successor goes on from there."""

    SIZE = 8

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_RDWR)

    @property
    def value(self) -> int:
        return int.from_bytes(os.pread(self._file, self.SIZE, 0), "big")

    def advance(self) -> int:
        n = self.value + 1
        # In one piece, or a kill would leave half of it.
        os.pwrite(self._file, n.to_bytes(self.SIZE, "big"), 0)
        return n


class Publisher:
    """Publishes until `stop` exists, and only now and then as long as `hold` does."""

    def __init__(self, *, seed: int, number: int, counter: Path, stop: Path, hold: Path) -> None:
        self.seed, self.number = seed, number
        self.counter = Counter(counter)
        self.stop, self.hold = stop, hold

    def run(self) -> None:
        if (n := self.counter.value) and self.decision(n).is_idempotent:
            # Nobody has told the client whether that one worked.
            self.carry_out(self.decision(n))
        while not self.stop.exists():
            decision = self.decision(self.counter.advance())
            self.carry_out(decision)
            self._rest(decision.pause)

    def _rest(self, seconds: float) -> None:
        began = time.monotonic()
        time.sleep(seconds)
        while self.hold.exists() and not self.stop.exists() and time.monotonic() < began + HELD:
            time.sleep(0.1)

    def decision(self, n: int) -> Decision:
        slow = SLOW_SECONDS.get(connection.vendor, LONG)
        return decide(self.seed, self.number, n, slow=slow)

    def carry_out(self, decision: Decision) -> None:
        if decision.is_twice:
            other = threading.Thread(target=in_thread, args=(decision,))
            other.start()
            persist(decision)
            other.join()
        else:
            persist(decision)


def in_thread(decision: Decision) -> None:
    try:
        persist(decision)
    finally:
        connection.close()


def persist(decision: Decision) -> None:
    """Carry the transaction out; with keys again and again, until the database has said yes."""
    while True:
        try:
            transact(decision)
        except ChangedMind:
            return
        except (DatabaseError, InterfaceError) as error:
            # Whether it was committed is not known: the table of orders tells it in the end.
            print(f"transaction failed: {error!r:.300}", flush=True)
            connection.close()
            if decision.is_idempotent:
                time.sleep(0.2)
                continue
        return


def transact(decision: Decision) -> None:
    with transaction.atomic():
        Order.objects.bulk_create([Order(number=p.number) for p in decision.payloads])
        if decision.is_many:
            publish_many(decision.payloads)
        else:
            for made in decision.payloads:
                publish(made, idempotency_key=made.number if decision.is_idempotent else None)
        if decision.is_rolled_back:
            raise ChangedMind


def steady(rate: int, counter: Path, hold: Path) -> None:
    """Publish so many events a second, if the database lets it; wait while `hold` exists."""
    number = Counter(counter)
    while True:
        began = time.monotonic()
        try:
            if not hold.exists():
                with transaction.atomic():
                    publish(site.Paid(f"paid:9.{number.advance()}.0"))
        except (DatabaseError, InterfaceError) as error:
            print(f"transaction failed: {error!r:.300}", flush=True)
            connection.close()
        time.sleep(max(0.0, began + 1 / rate - time.monotonic()))


def work(name: str, options: dict[str, Any]) -> None:
    """Be a publisher's process."""
    site.piece = name
    Publisher(**options).run()
