"""What the soak itself does to the database, and asks of it."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection, transaction

from eda_django.models import Delivery, OutboxEvent, Status
from tests.forking import Fork
from tests.soak.truth import Findings, compare
from tests.testapp.models import Effect, Order

# PostgreSQL's and MariaDB's lists of connections to this database, but for the soak's own.
BACKENDS = {
    "postgresql": (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid",
        "SELECT pg_terminate_backend({})",
    ),
    "mysql": (
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
        "AND id <> CONNECTION_ID() ORDER BY id",
        "KILL {}",
    ),
}
# KILL says so of a connection that has gone by itself.
NO_SUCH_THREAD = 1094


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far things are."""

    events: int
    delivered: int
    backlog: int


class Outside:
    """The soak's own connection, which nobody cuts."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._seen = 0

    def cut(self, draw: float | None) -> bool:
        """End one connection, or all; return whether there was any."""
        listing, end = BACKENDS[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(listing)
            found = [row[0] for row in cursor.fetchall()]
            chosen = found if draw is None else found[int(draw * len(found)) :][:1]
            for number in chosen:
                self._end(cursor, end.format(int(number)))
        return bool(chosen)

    def _end(self, cursor: Any, sql: str) -> None:
        try:
            cursor.execute(sql)
        except DatabaseError as error:
            if error.args[0] != NO_SUCH_THREAD:
                raise

    def hold(self, seconds: float) -> None:
        """Keep everybody from writing, where there is one write lock."""
        Fork(self._log, hold_write_lock, seconds)

    def standing(self) -> Standing:
        return Standing(
            events=Order.objects.values("number").distinct().count(),
            delivered=Effect.objects.count(),
            backlog=backlog(),
        )

    def new_notes(self) -> list[str]:
        """Return what effects were written since the last call, by the order of their ids."""
        rows = Effect.objects.filter(pk__gt=self._seen).order_by("pk").values_list("pk", "note")
        found = list(rows)
        if found:
            self._seen = found[-1][0]
        return [note for _, note in found]

    def findings(self) -> Findings:
        effects = [
            (subscriber, note.partition(" ")[0])
            for subscriber, note in Effect.objects.values_list("subscriber", "note").iterator()
        ]
        dead = [
            (row.subscriber, row.event.data["number"])
            for row in Delivery.objects.dead().select_related("event")
        ]
        return compare(Order.objects.values_list("number", flat=True), effects, dead)

    def unfinished(self) -> list[str]:
        """Return what still waits, a sentence each."""
        rows = Delivery.objects.unfinished().select_related("event")[:20]
        waiting = [f"{r.subscriber} of {r.event.data['number']} is {r.status}" for r in rows]
        fresh = OutboxEvent.objects.filter(relayed_at=None)[:20]
        return waiting + [f"{r.data['number']} was never fanned out: {r.error}" for r in fresh]

    def version(self) -> str:
        if connection.vendor == "sqlite":
            return f"SQLite {sqlite3.sqlite_version}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT version()")
            text = str(cursor.fetchone()[0])
        return text.partition(" on ")[0] if connection.vendor == "postgresql" else text


def backlog() -> int:
    """Return how many deliveries wait, events that have none yet counted as one each."""
    states = [s for s in Status if s not in (Status.SUCCEEDED, Status.DISCARDED, Status.DEAD)]
    waiting: int = Delivery.objects.filter(status__in=states).count()
    fresh: int = OutboxEvent.objects.filter(relayed_at=None).count()
    return waiting + fresh


def hold_write_lock(seconds: float) -> None:
    with transaction.atomic():
        time.sleep(seconds)
