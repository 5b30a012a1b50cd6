"""For pytest under mutmut: takes away what the tests before have left, which may have been killed.

A mutant that hangs is killed with its tests. Their Redis would keep its port, and their rows would
be found by the tests of the next: from then on every mutant would seem to be noticed.
"""

from contextlib import suppress

import pytest
import redis
from django.conf import settings
from django.core.management.color import no_style
from django.db import connections
from pytest_django import DjangoDbBlocker
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.databases import sql_flush


def pytest_sessionstart() -> None:
    """End the Redis of those before: they had the port that was free when mutmut began."""
    there = redis.Redis(port=settings.REDIS_PORT, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
    with suppress(RedisError), there:
        there.shutdown(nosave=True)


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
