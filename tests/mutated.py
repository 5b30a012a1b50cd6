"""For pytest under mutmut: begins from nothing, at once, whatever the tests before have left.

Those of a mutant that hangs are killed in the middle. What they left would be found by the tests of
the next, and from then on every mutant would seem to be noticed.
"""

import os
import time
from collections.abc import Iterator
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

# Modules that were one once, and by the names that a reader knows them by.
PARTS = {
    "retry": ("retry",),
    "outbox": ("outbox", "publish_arguments", "doorbell"),
    "consumer": ("consumer", "job", "job_arguments", "execution", "verdicts"),
    "relay": (
        "relay",
        "routing",
        "pushing",
        "recovery",
        "floor",
        "gathering",
        "inline",
        "outage",
        "pulse",
        "repeats",
    ),
    "dispatch": ("dispatch", "chunks"),
    "models": ("models",),
}
# Which tests are about which part: much else comes by a function of these, and takes long.
ABOUT = {
    "retry": ("test_retry.py",),
    "outbox": ("outbox/", "test_doorbell.py", "test_publish_arguments.py"),
    "consumer": (
        "consumer/",
        "model/",
        "test_job_arguments.py",
        "test_deadline.py",
        "test_execution.py",
        "test_failures.py",
        "test_recovery",
        "test_verdicts.py",
    ),
    "relay": (
        "dispatch/test_inline.py",
        "relay/",
        "test_bulk_operation.py",
        "test_floor.py",
        "test_inquiry.py",
        "test_recovery",
        "test_relay_command.py",
        "test_repeats.py",
    ),
    "dispatch": (
        "dispatch/",
        "outbox/test_redis_away.py",
        "relay/",
        "test_chunks.py",
        "test_doorbell.py",
    ),
    "models": (
        "admin/test_operations.py",
        "consumer/",
        "delivery/",
        "model/",
        "outbox/",
        "relay/",
        "test_clock.py",
        "test_event_insertion.py",
        "test_heartbeat.py",
        "test_locking.py",
        "test_operator_verbs.py",
        "test_bulk_operation.py",
        "test_outbox_rows.py",
        "test_pruning",
        "test_recovery",
        "test_resending.py",
        "test_spelled.py",
        "test_waiting_for_nobody.py",
    ),
}
# Seconds that a relay may wait in one test for what is away.
PATIENCE = 3.0
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are about something else than the module with the mutant."""
    _, _, module = os.environ.get("MUTANT_UNDER_TEST", "").partition("eda_django.")
    for part, paths in ABOUT.items():
        if module.split(".")[0] in PARTS[part]:
            begin = tuple(f"tests/{path}" for path in paths)
            others = [item for item in items if not item.nodeid.startswith(begin)]
            items[:] = [item for item in items if item.nodeid.startswith(begin)]
            config.hook.pytest_deselected(items=others)


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


@pytest.fixture(autouse=True)
def _outages_end() -> Iterator[None]:
    """Have a relay give up soon that takes what is broken in it for an outage.

    It would try again until the test's time is over, which is most of the time of all mutants.
    """
    # Late: this is a plugin, and is read before Django is set up.
    from eda_django.relay import Relay

    sleep = Relay._sleep
    slept = 0.0

    def sleep_or_give_up(self: Any, seconds: float) -> bool:
        nonlocal slept
        if slept > PATIENCE:
            raise TimeoutError("an outage without end")
        began = time.monotonic()
        has_rung = sleep(self, seconds)
        slept += time.monotonic() - began if self.outage else 0.0
        return has_rung

    # Not the test's own, which would be undone later than the test expects.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Relay, "_sleep", sleep_or_give_up)
        yield


def pytest_sessionfinish() -> None:
    """Let no connection into the process that is forked for the next."""
    for connection in connections.all(initialized_only=True):
        connection.close()


def _migrate_once(self: Any, *args: Any, database: str, **options: Any) -> Any:
    if "eda_django_delivery" not in connections[database].introspection.table_names():
        _migrate(self, *args, database=database, **options)
