"""What every test may use: Redis, a clean registry, the envelope's parts."""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
from django.conf import settings
from django.core.management.commands import flush
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from eda_django import dispatch
from eda_django.events import types
from eda_django.registry import registry
from example_project.demo.redis_server import RedisServer
from tests import databases
from tests.seeds import pytest_configure, pytest_report_header

# Pytest finds these hooks here.
__all__ = ["pytest_configure", "pytest_report_header"]

SHOP = ("example_project/", "tests/test_demo")
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `once` what asks for no database, and as `shop` what is about the example."""
    for item in items:
        if item.nodeid.startswith(SHOP):
            item.add_marker("shop")
        asks = DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if not asks and not any(map(item.get_closest_marker, ("django_db", "processes"))):
            item.add_marker("once")


def pytest_collection_finish() -> None:
    """Have the collector leave alone what was imported, and stays: each look at it takes time.

    And look seldom at all else, which the end of a test gives up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def child_settings() -> None:
    """Have the processes that tests start use the test's databases."""
    os.environ["EDA_TEST_CHILD"] = "1"
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"


@pytest.fixture(scope="session", autouse=True)
def redis_server(child_settings: None) -> Iterator[RedisServer]:
    """Run the suite's own Redis, where the settings expect it."""
    with RedisServer(databases.folder() / "redis", port=settings.REDIS_PORT) as server:
        yield server


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Have the flush after a transactional test keep what migrate has written.

    Writing the permissions anew takes longer than most tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", databases.sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args: None)
        yield


@pytest.fixture(autouse=True)
def callers_transaction(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stand for a caller's transaction in tests that run in one of their own, which is none."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction") or marker.kwargs.get("reset_sequences"):
        yield
        return
    request.getfixturevalue("db")
    with ExitStack() as stack:
        for alias in marker.kwargs.get("databases", [DEFAULT_DB_ALIAS]):
            stack.enter_context(transaction.atomic(using=alias))
        yield


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Return a connection to the suite's Redis, emptied before the test."""
    with redis.Redis.from_url(redis_server.url) as client:
        dispatch.doorbell.flush(1.0)
        client.flushall()
        yield client


@pytest.fixture
def no_default_database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Refuse whoever uses the default database in any way, be it to begin a transaction."""
    request.getfixturevalue("_django_db_helper")
    connection = connections["default"]
    if not connection.in_atomic_block:
        connection.close()

    def refuse() -> None:
        raise RuntimeError("Only the second database may be used here.")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "ensure_connection", refuse)
        yield


@pytest.fixture(autouse=True)
def _clean_registry() -> Iterator[None]:
    """Forget what a test subscribes and declares."""
    names, declared = set(registry.names()), {t.name for t in types}
    clashes = list(registry.clashes)
    yield
    registry.clashes[:] = clashes
    for name in set(registry.names()) - names:
        registry.remove(name)
    for known in [t for t in types if t.name not in declared]:
        types.forget(known.name)
