"""Row locks, where the database has them, and the one write lock where it has not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.models import Model, QuerySet


@contextmanager
def writing(using: str) -> Iterator[None]:
    """Open a transaction that is going to write.

    SQLite refuses, at once and without waiting, to turn a transaction that has read into one
    that writes if anybody wrote in between. A first statement that writes waits its turn.
    """
    with transaction.atomic(using=using):
        if connections[using].vendor == "sqlite":
            with connections[using].cursor() as cursor:
                cursor.execute("UPDATE eda_django_relayheartbeat SET id = id WHERE id < 0")
        yield


def skip_locked(rows: QuerySet[Any], model: type[Model]) -> QuerySet[Any]:
    """Lock the rows that nobody else holds, and leave the others out."""
    features = connections[rows.db].features
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
