"""The system checks of databases: their tables, and how they are set up."""

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import OperationalError, connections, router

from .check_messages import error, warning
from .models import Delivery, OutboxEvent

# What migration 0002 sets for both tables on PostgreSQL; a site may have other values.
STORAGE_PARAMETERS = frozenset(
    {
        "autovacuum_vacuum_scale_factor",
        "autovacuum_vacuum_threshold",
        "autovacuum_vacuum_insert_scale_factor",
        "autovacuum_analyze_scale_factor",
        "autovacuum_analyze_threshold",
    }
)


def check_tables(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W003 and W007: a database in use without the outbox table, or without its parameters."""
    # `migrate` runs this check right before it makes the tables.
    if "migrate" in sys.argv[:2]:
        return []
    found: list[CheckMessage] = []
    for alias in databases or ():
        if not router.allow_migrate_model(alias, OutboxEvent):
            continue
        found += _check_storage(alias) if has_outbox(alias) else [_no_table(alias)]
    return found


def _no_table(alias: str) -> CheckMessage:
    return warning(
        "W003",
        f"Database {alias!r} has no table {OutboxEvent._meta.db_table!r}, so publish() and "
        f"the relay fail there.",
        f"Run: manage.py migrate --database={alias} eda_django",
    )


def _check_storage(alias: str) -> list[CheckMessage]:
    tables = (OutboxEvent._meta.db_table, Delivery._meta.db_table)
    return [
        warning(
            "W007",
            f"Table {table!r} on database {alias!r} has lost its storage parameters "
            f"{', '.join(missing)}: PostgreSQL vacuums it too late, and claims get slower.",
            "Set them again, with the statement of that page or with values of your own.",
        )
        for table in tables
        if (missing := sorted(_missing_parameters(alias, table)))
    ]


def _missing_parameters(alias: str, table: str) -> frozenset[str]:
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return frozenset()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT unnest(reloptions) FROM pg_class WHERE oid = to_regclass(quote_ident(%s))",
                [table],
            )
            options = [option for (option,) in cursor.fetchall()]
    except OperationalError:
        return frozenset()
    return STORAGE_PARAMETERS - {option.split("=")[0] for option in options}


def check_sqlite(**_: Any) -> list[CheckMessage]:
    """W004: SQLite that refuses to wait for its one writer."""
    return [
        warning(
            "W004",
            f"Database {alias!r} is SQLite without transaction_mode 'IMMEDIATE': a subscriber "
            f"that reads before it writes fails with 'database is locked' when others write.",
            "Set DATABASES[…]['OPTIONS'] = {'transaction_mode': 'IMMEDIATE', 'timeout': 30}.",
        )
        for alias in _in_use()
        if connections[alias].vendor == "sqlite" and not _locks_at_once(alias)
    ]


def _in_use() -> Iterator[str]:
    """Yield the databases that may have an outbox, without asking any."""
    return (alias for alias in connections if router.allow_migrate_model(alias, OutboxEvent))


def _locks_at_once(alias: str) -> bool:
    mode = settings.DATABASES[alias].get("OPTIONS", {}).get("transaction_mode")
    return str(mode).upper() in ("IMMEDIATE", "EXCLUSIVE")


AUTOCOMMIT_HINT = "Remove the key, or set it to True."


def check_autocommit(**_: Any) -> list[CheckMessage]:
    """E008: a database where atomic() commits nothing."""
    return [
        error("E008", problem, AUTOCOMMIT_HINT)
        for alias in _in_use()
        if (problem := autocommit_problem(alias))
    ]


def autocommit_problem(using: str) -> str:
    """Return what is wrong with AUTOCOMMIT there; nothing, if it is on."""
    value = connections[using].settings_dict["AUTOCOMMIT"]
    if value:
        return ""
    return (
        f"DATABASES[{using!r}]['AUTOCOMMIT'] is {value!r}: atomic() commits nothing then, and a "
        f"relay would push jobs for rows that nobody commits."
    )


def check_database_zones(**_: Any) -> list[CheckMessage]:
    """E009: a database without zones of its own, which Django doesn't read in UTC."""
    return [
        error(
            "E009",
            f"DATABASES[{alias!r}]['TIME_ZONE'] is {zone!r}: Django reads this database's times in "
            f"that zone, and this library writes them in UTC, so that what is due comes too early "
            f"or too late.",
            'Remove the key, or set it to "UTC".',
        )
        for alias in _in_use()
        if connections[alias].vendor != "postgresql"
        and not _is_utc(zone := connections[alias].settings_dict["TIME_ZONE"])
    ]


def _is_utc(zone: str | None) -> bool:
    try:
        # Of no time in particular a zone tells what it is off by only if that never changes.
        return zone is None or ZoneInfo(zone).utcoffset(None) == timedelta(0)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def has_outbox(using: str) -> bool:
    """Return whether the outbox table exists; True, too, if the database can't be asked."""
    try:
        return OutboxEvent._meta.db_table in connections[using].introspection.table_names()
    except OperationalError:
        # What is away now says nothing about its tables, and whoever needs it will say so.
        return True
