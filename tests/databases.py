"""The databases that the suite runs on: where they are, and whether they can be reached."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db import connection, connections

from example_project.mysql import driver_options

VENDORS = ("sqlite", "postgresql", "mariadb")
URLS = {
    "postgresql": ("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql"),
}
# Written by migrate, and by no test.
KEPT = {"auth_permission", "django_content_type"}
# PostgreSQL keeps each statement that comes a second time. Not those that come for the first time:
# some of Django's migrations are several statements in one, which can't be kept.
PREPARED = {"server_side_binding": True, "prepare_threshold": 1}
# Two runs at once need two names: their databases and folders bear it.
RUN = os.environ.get("EDA_TEST_RUN", "")


def vendor() -> str:
    """Return the database that this run is for."""
    chosen = os.environ.get("EDA_TEST_DATABASE", "sqlite")
    if chosen not in VENDORS:
        raise RuntimeError(f"EDA_TEST_DATABASE={chosen!r} must be one of {', '.join(VENDORS)}.")
    return chosen


def config(alias: str) -> dict[str, Any]:
    """Return Django's settings of one alias. Processes that tests start use the test's own."""
    chosen = vendor()
    test_name = f"test_eda_django{RUN and '_' + RUN}_{alias}"
    made = _sqlite(test_name) if chosen == "sqlite" else _server(chosen, test_name)
    if os.environ.get("EDA_TEST_CHILD"):
        made["NAME"] = made["TEST"]["NAME"]
    return made


@contextmanager
def empty_database(suffix: str) -> Iterator[str]:
    """Make an empty database beside the suite's, on its server; yield its name."""
    name = f"{connection.settings_dict['NAME']}_{suffix}"
    drop(name)
    create(name)
    try:
        yield name
    finally:
        drop(name)


@contextmanager
def set_up(using: str = "default", **keys: Any) -> Iterator[None]:
    """Connect to a database as a process does whose DATABASES has these keys for it."""
    known = connections[using].settings_dict
    before = {key: known[key] for key in keys}
    try:
        known.update(keys)
        _connect_anew(using)
        yield
    finally:
        known.update(before)
        _connect_anew(using)


def _connect_anew(using: str) -> None:
    connection = connections[using]
    connection.close()
    for kept in ("timezone", "timezone_name"):
        connection.__dict__.pop(kept, None)


def create(name: str, *, using: str = "default") -> None:
    """Make a database on the server of this alias."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")


def drop(name: str, *, using: str = "default") -> None:
    """Drop a database on the server of this alias, if it is there."""
    connection = connections[using]
    # What was killed a moment ago may still be connected.
    force = " WITH (FORCE)" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {connection.ops.quote_name(name)}{force}")


def sql_flush(style: Any, connection: Any, **options: Any) -> list[str]:
    """Return the statements that empty the tables, but for KEPT."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = sorted(set(names) - KEPT)
    if connection.vendor == "postgresql":
        # TRUNCATE makes new files for every table. The keys are checked at the end only.
        return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]
    found: list[str] = connection.ops.sql_flush(style, tables, **options)
    return found


def folder() -> Path:
    """Return the folder of this run, made by its first process and removed with it."""
    if "EDA_TEST_FOLDER" not in os.environ:
        os.environ["EDA_TEST_FOLDER"] = tempfile.mkdtemp(prefix="eda_django_")
        atexit.register(_remove, os.environ["EDA_TEST_FOLDER"], os.getpid())
    return Path(os.environ["EDA_TEST_FOLDER"])


def _remove(path: str, made_by: int) -> None:
    # A fork inherits what is to be done at exit.
    if os.getpid() == made_by:
        shutil.rmtree(path, ignore_errors=True)


def _sqlite(test_name: str) -> dict[str, Any]:
    # A file, because relays and workers of their own must see it.
    path = str(folder() / f"{test_name}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "TEST": {"NAME": path},
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }


def _server(chosen: str, test_name: str) -> dict[str, Any]:
    variable, default = URLS[chosen]
    url = urlsplit(os.environ.get(variable, default))
    engine = "postgresql" if chosen == "postgresql" else "mysql"
    made: dict[str, Any] = {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": url.path.lstrip("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": url.port or "",
        "TEST": {"NAME": test_name},
    }
    if engine == "postgresql":
        # What a crash of the server would lose is of no interest here.
        made["OPTIONS"] = {"options": "-c synchronous_commit=off"}
        if os.environ.get("EDA_TEST_PREPARED"):
            made["OPTIONS"] |= PREPARED
    if engine == "mysql":
        made["OPTIONS"] = {"charset": "utf8mb4", **driver_options(made["HOST"])}
        made["TEST"] |= {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_unicode_ci"}
    return made
