"""For pytest under mutmut: begins from nothing, at once, whatever the tests before have left.

Those of a mutant that hangs are killed in the middle. What they left would be found by the tests of
the next, and from then on every mutant would seem to be noticed.
"""

from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management.color import no_style
from django.core.management.commands import migrate
from django.db import connections
from pytest_django import DjangoDbBlocker

from example_project.demo.redis_server import RedisServer
from tests.databases import sql_flush

_migrate = migrate.Command.handle


def pytest_configure() -> None:
    """Leave out what every run of the tests would do again: start a Redis, and migrate."""
    # `python -m tests.mutation` has one running, on the port of the settings.
    for name in ("start", "stop"):
        setattr(RedisServer, name, lambda *args: None)
    migrate.Command.handle = _migrate_once  # type: ignore[method-assign]


def pytest_sessionstart() -> None:
    with redis.Redis(port=settings.REDIS_PORT) as client:
        client.flushall()


@pytest.fixture(scope="session", autouse=True)
def _empty_tables(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> None:
    if all(item.get_closest_marker("once") for item in request.session.items):
        return
    request.getfixturevalue("django_db_setup")
    with django_db_blocker.unblock():
        for connection in connections.all():
            # What was not set up would be the real one.
            if connection.settings_dict["NAME"] == connection.settings_dict["TEST"]["NAME"]:
                connection.ops.execute_sql_flush(sql_flush(no_style(), connection))


def pytest_sessionfinish() -> None:
    """Let no connection into the process that is forked for the next."""
    for connection in connections.all(initialized_only=True):
        connection.close()


def _migrate_once(self: Any, *args: Any, database: str, **options: Any) -> Any:
    if "eda_django_delivery" not in connections[database].introspection.table_names():
        _migrate(self, *args, database=database, **options)
