"""Old code beside newer tables: who migrates first, as the docs say, breaks nothing that runs."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from eda_django.models import (
    Attempt,
    BulkOperation,
    Delivery,
    OutboxEvent,
    RelayHeartbeat,
    Status,
)
from eda_django.models.clock import after
from tests.integration import ordering
from tests.integration.ordering import place_notes, place_orders
from tests.integration.processes import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.processes

MODELS = (OutboxEvent, Delivery, Attempt, RelayHeartbeat, BulkOperation)
TABLES = [model._meta.db_table for model in MODELS]
# By position, on the database that lets one choose it, the first of all.
FIRST = " FIRST" if connection.vendor == "mysql" else ""
NEWER = [
    *(f"ALTER TABLE {t} ADD COLUMN newer_word varchar(9) DEFAULT 'new' NOT NULL" for t in TABLES),
    *(f"ALTER TABLE {t} ADD COLUMN newer_number integer NULL{FIRST}" for t in TABLES),
    *(f"CREATE INDEX newer_{t} ON {t} (newer_number)" for t in TABLES),
    "CREATE TABLE eda_django_newer (id integer NOT NULL PRIMARY KEY)",
]
ON_TABLE = " ON {t}" if connection.vendor == "mysql" else ""
OLDER = [
    "DROP TABLE eda_django_newer",
    *(f"DROP INDEX newer_{t}{ON_TABLE.format(t=t)}" for t in TABLES),
    *(f"ALTER TABLE {t} DROP COLUMN newer_number" for t in TABLES),
    *(f"ALTER TABLE {t} DROP COLUMN newer_word" for t in TABLES),
]
YEAR = 365 * 86_400.0


@contextmanager
def newer_tables() -> Iterator[None]:
    """Have the tables be those of a version to come: columns, indexes and a table more."""
    _execute(NEWER)
    try:
        yield
    finally:
        _execute(OLDER)


def _execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def go_round(done: Counter[str]) -> Counter[str]:
    """Have something of every kind happen, and all come to its end; add it to what is there."""
    place_orders(2)
    place_notes("", "fail:1", "fail", "discard", "publish")
    done = done + Counter(
        {str(Status.SUCCEEDED): 6 + 4, str(Status.DEAD): 1, str(Status.DISCARDED): 1}
    )
    eventually(lambda: Counter(ordering.statuses()) == done, f"{done}")
    return done


def test_old_relay_and_old_worker_go_on_beside_newer_tables(processes: Processes) -> None:
    relay, worker = processes.relay(), processes.worker("default", "fast", "slow")
    done = go_round(Counter())
    with newer_tables():
        done = go_round(done)
        # And when they are started anew, which prunes at once.
        for process in (relay, worker):
            assert process.stop() == 0
        finished = list(
            OutboxEvent.objects.exclude(deliveries__status=Status.DEAD).values_list("pk", flat=True)
        )
        OutboxEvent.objects.filter(pk__in=finished).update(
            time=after(-YEAR), relayed_at=after(-YEAR)
        )
        relay, worker = processes.relay(), processes.worker("default", "fast", "slow")
        eventually(lambda: not OutboxEvent.objects.filter(pk__in=finished).exists())
        done = go_round(Counter({str(Status.DEAD): done[Status.DEAD]}))
        assert RelayHeartbeat.objects.count() == 1
        for table in TABLES[:4]:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT DISTINCT newer_word, newer_number FROM {table}")
                assert cursor.fetchall() in ([("new", None)], (("new", None),)), table
        for process in (relay, worker):
            assert process.stop() == 0
            # Only what the subscribers were told to raise.
            assert set(re.findall(r"\w+Error\b", process.text)) <= {"RuntimeError"}
