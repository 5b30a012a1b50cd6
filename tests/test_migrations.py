"""The tables as the migrations make them."""

from importlib import import_module
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from eda_django.models import Attempt, Delivery, OutboxEvent, RelayHeartbeat

autovacuum = import_module("eda_django.migrations.0002_autovacuum")


def options_of(table: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        (found,) = cursor.fetchone()
    return dict(option.split("=") for option in found or ())


def indexes_of(model: Any) -> set[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    return {name for name, about in found.items() if about["index"] or about["unique"]}


@pytest.mark.django_db(transaction=True)
def test_queue_tables_are_vacuumed_early_where_there_is_a_vacuum() -> None:
    """By default a fifth of the table would have to change first."""
    assert {model._meta.db_table for model in (OutboxEvent, Delivery)} == set(autovacuum.TABLES)
    if connection.vendor != "postgresql":
        with connection.schema_editor() as editor:
            autovacuum.vacuum_early(None, editor)
        return
    for table in autovacuum.TABLES:
        assert options_of(table) == autovacuum.OPTIONS


@pytest.mark.django_db(transaction=True)
def test_vacuum_can_be_set_back() -> None:
    executor = MigrationExecutor(connection)
    try:
        executor.migrate([("eda_django", "0001_initial")])
        if connection.vendor == "postgresql":
            assert {table: options_of(table) for table in autovacuum.TABLES} == dict.fromkeys(
                autovacuum.TABLES, {}
            )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("eda_django"))
    if connection.vendor == "postgresql":
        assert options_of(autovacuum.TABLES[0]) == autovacuum.OPTIONS


@pytest.mark.django_db(transaction=True)
def test_indexes_on_tables_in_use_are_made_while_others_write(capsys: Any) -> None:
    """All but those that the tables were made with; where the database can."""
    call_command("sqlmigrate", "eda_django", "0004")
    made = [line for line in capsys.readouterr().out.splitlines() if "CREATE INDEX" in line]
    assert made
    if connection.vendor == "postgresql":
        assert all(line.startswith("CREATE INDEX CONCURRENTLY ") for line in made), made


@pytest.mark.django_db
def test_no_index_is_there_that_nobody_needs() -> None:
    """Every one costs every publish, or every delivery."""
    named = {
        OutboxEvent: 4 + 1,
        # The failing ones have an index of their own where it can be partial.
        Delivery: 3 + 1 + int(connection.features.supports_partial_indexes),
        RelayHeartbeat: 0,
        Attempt: 0,
    }
    for model, count in named.items():
        assert (
            len(
                [
                    name
                    for name in indexes_of(model)
                    if name.startswith("eda_") and not name.startswith("eda_django_")
                ]
            )
            == count
        )


@pytest.mark.django_db
def test_every_delivery_keeps_one_index_that_begins_with_its_event() -> None:
    """The unique constraint is that of the foreign key, too."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Delivery._meta.db_table)
    led_by_event = [
        name
        for name, about in found.items()
        if (about["index"] or about["unique"]) and (about["columns"] or [""])[0] == "event_id"
    ]
    assert led_by_event == ["eda_delivery_event_subscriber"]
