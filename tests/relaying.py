"""What the tests of relay and consumer share: subscribers, events, a transport, and time."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django import publish, subscribes
from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.events import Event
from eda_django.exceptions import TransportUnavailable
from eda_django.models import Delivery, OutboxEvent, Status, by_key
from eda_django.models.clock import DatabaseNow, after
from eda_django.models.status import CLAIMED
from eda_django.relay import Relay
from tests.databases import vendor
from tests.testapp.models import Effect
from tests.waiting import eventually

HAPPENED = "t.happened"

row_locks = pytest.mark.skipif(
    vendor() == "sqlite", reason="SQLite has no row locks: its one write lock stands for them."
)


class Recorder:
    """A transport that keeps what it is given; the test decides what becomes of it."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.is_down = False
        # Queue: the reason why nothing goes through it.
        self.refused: dict[str, str] = {}
        # Queues that this process has not in its settings.
        self.missing: set[str] = set()
        # What is not on its way any more.
        self.lost: set[UUID] = set()
        self.asked: list[set[UUID]] = []
        self.slept: list[float] = []
        # Queue: jobs that wait in it.
        self.behind: dict[str, int] = {}
        # Of every call, whether the database was in a transaction: name and answer.
        self.calls: list[tuple[str, bool]] = []

    def _note(self, what: str, using: str = "default") -> None:
        self.calls.append((what, connections[using].in_atomic_block))

    def check(self) -> None:
        self._note("check")
        if self.is_down:
            raise TransportUnavailable("nothing answers")

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        self._note("push", using)
        self.check()
        taken = [chunk for chunk in chunks if chunk.queue not in self.refused]
        self.chunks += taken
        return {c.token: self.refused[c.queue] for c in chunks if c not in taken}

    def ahead(self) -> Mapping[str, int]:
        return self.behind

    def has_queue(self, name: str) -> bool:
        return name not in self.missing

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        self._note("alive")
        self.check()
        self.asked.append(set(claims))
        return {chunk.token for chunk in self.chunks} & set(claims) - self.lost

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        self._note("wait", using)
        self.slept.append(seconds)
        return False

    @property
    def ids(self) -> list[int]:
        """The ids of all deliveries that were pushed, in the order of the pushes."""
        return [pk for chunk in self.chunks for pk in chunk.delivery_ids]

    def work(self, *, using: str = "default", timeout: float | None = None) -> int:
        """Consume, as a worker would, all that was pushed; return how many succeeded."""
        chunks, self.chunks = self.chunks, []
        return sum(
            consume(c.delivery_ids, token=c.token.hex, using=using, limit_of=lambda queue: timeout)
            for c in chunks
        )


def on_happened(
    subscriber: Callable[[Event[Any]], Any], *, name: str = "t.sub", **options: Any
) -> None:
    """Subscribe a function to the event that happen() publishes."""
    subscribes(HAPPENED, name=name, **options)(subscriber)


def write(seen: Event[Any]) -> None:
    """Subscribe this to have an effect that can be counted."""
    Effect.objects.create(subscriber="t.sub", event_id=seen.id, attempt=seen.attempt)


def happen(count: int = 1, *, using: str = "default", **data: Any) -> list[Event[Any]]:
    """Publish the event so many times, with `number` in its payload."""
    with transaction.atomic(using=using):
        return [publish(HAPPENED, {"number": n, **data}, using=using) for n in range(count)]


def relayed(count: int = 1, *, transport: Recorder | None = None, **data: Any) -> Recorder:
    """Publish, and run one turn of a relay; return its transport."""
    transport = transport or Recorder()
    happen(count, **data)
    Relay(transport=transport).poll()
    return transport


def lapse_leases() -> None:
    """Let all leases end now."""
    Delivery.objects.filter(status__in=CLAIMED).update(lease_until=after(-1))


def lapse(rows: QuerySet[Delivery], status: Status) -> None:
    """Let the leases end of what of these is in this state, beside relays and workers at work."""
    every = Delivery.objects.using(rows.db)
    held = every.filter(status=status, lease_until__gt=DatabaseNow())
    # One at a time, or the workers' locks and these could wait for each other; and once each, or
    # this could change an index by which a relay is about to lock the row.
    for pk in list(rows.filter(pk__in=held).values_list("pk", flat=True)):
        by_key.update(held.filter(pk=pk), lease_until=after(-1))


def lapse_running(rows: QuerySet[Delivery], *, until: Callable[[], bool]) -> None:
    """Let the leases end of what is running of these, whose workers die, until something holds.

    A lease that is short for all would lapse, too, where a busy machine lets a worker wait between
    marking a delivery as running and locking it.
    """

    def holds() -> bool:
        lapse(rows, Status.RUNNING)
        return until()

    eventually(holds)


def make_due() -> None:
    """Let the time come for everything that waits for one."""
    Delivery.objects.filter(status=Status.PENDING).update(due_at=after(-1))
    OutboxEvent.objects.exclude(available_at=None).update(available_at=after(-1))


def only_delivery() -> Delivery:
    found: Delivery = Delivery.objects.get()
    return found


def seconds_until(moment: datetime | None) -> float:
    """Return the seconds until a time that must be set."""
    assert moment is not None
    return (moment - timezone.now()).total_seconds()


def statuses() -> list[str]:
    return [str(row.status) for row in Delivery.objects.order_by("pk")]


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Run functions at the same time, each in a thread of its own; return their results."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        try:
            barrier.wait(10)
            return function()
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(len(functions))
    try:
        return list(pool.map(run, functions, timeout=60))
    finally:
        # Not waited for: one that waits for a lock of this thread's would wait for ever.
        pool.shutdown(wait=False)


def cut_connection(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """End the connection on the server's side, so that the client does not know."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        connection.close()
        return
    with connection.cursor() as cursor:
        ask = "pg_backend_pid" if connection.vendor == "postgresql" else "connection_id"
        cursor.execute(f"SELECT {ask}()")
        number = cursor.fetchone()[0]
    kill = "SELECT pg_terminate_backend({})" if connection.vendor == "postgresql" else "KILL {}"

    def end() -> None:
        with connections[using].cursor() as cursor:
            cursor.execute(kill.format(number))

    in_threads(end)


def end_other_connections(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """End everybody's connections to this database but this one, on the server's side."""
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        cursor.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        for (number,) in cursor.fetchall():
            with suppress(OperationalError):
                # Unless it has just ended by itself.
                cursor.execute(f"KILL {number}")


class Statements(CaptureQueriesContext):
    """Captures statements; begin and end of transactions, and SQLite's write lock, don't count."""

    QUIET = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "UPDATE eda_django_relayheart")

    def __init__(self, using: str = "default") -> None:
        super().__init__(connections[using])

    @property
    def texts(self) -> list[str]:
        found = [str(query["sql"]) for query in self.captured_queries]
        return [sql for sql in found if not sql.startswith(self.QUIET)]
