"""`manage.py check`: each warning has a test that provokes it."""

from importlib import import_module
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import override_settings

from eda_django import database_checks, subscribes
from eda_django.models import OutboxEvent
from tests.checks.checking import ON_EVENT, WARNING, NoOutbox, assert_one, found, on_event
from tests.testapp.events import Noted


def test_w001_an_exact_name_that_nothing_declares():
    subscribes("ordres.placed", "ordres.*", name="test.typo")(on_event)
    assert_one(
        "W001",
        WARNING,
        "Subscriber 'test.typo' waits for 'ordres.placed', which nothing declares.",
        "Is the name right? Otherwise declare it on a class in events.py: @event('ordres.placed').",
        obj=ON_EVENT,
    )


def test_w002_a_timeout_above_the_queues(alone: None, settings: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {"DEFAULT_TIMEOUT": 30}}
    subscribes(Noted, name="test.slow", queue="fast", timeout=60.5)(on_event)
    assert_one(
        "W002",
        WARNING,
        "Subscriber 'test.slow' has timeout=60.5, but its queue 'fast' is meant for jobs of at "
        "most 30 s.",
        "Raise DEFAULT_TIMEOUT of RQ_QUEUES['fast'], or lower the subscriber's timeout.",
        obj=ON_EVENT,
    )


@pytest.mark.parametrize("limit", [60, 3600, -1, "1h", "60", None])
def test_w002_is_silent_where_the_queue_allows_as_much(alone: None, settings: Any, limit: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {"DEFAULT_TIMEOUT": limit}}
    subscribes(Noted, queue="fast", timeout=60)(on_event)
    assert found() == []


@pytest.mark.parametrize("limit", ["10s", "10", 10.5])
def test_w002_reads_a_limit_as_rq_does(alone: None, settings: Any, limit: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {"DEFAULT_TIMEOUT": limit}}
    subscribes(Noted, queue="fast", timeout=30)(on_event)
    assert [m.msg for m in found()] == [
        f"Subscriber {ON_EVENT!r} has timeout=30, but its queue 'fast' is meant for jobs of at "
        "most 10 s."
    ]


@pytest.mark.parametrize("limit", ["soon", "1 hour", [1]])
def test_w002_a_limit_that_rq_can_not_read(alone: None, settings: Any, limit: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {"DEFAULT_TIMEOUT": limit}}
    subscribes(Noted, name="test.slow", queue="fast")(on_event)
    assert_one(
        "W002",
        WARNING,
        f"RQ_QUEUES['fast'] has DEFAULT_TIMEOUT={limit!r}, which RQ can't read.",
        "Give seconds, or a text such as '90s', '5m' or '1h'.",
        obj=ON_EVENT,
    )


def test_w002_counts_rqs_own_default(alone: None, settings: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {}}
    subscribes(Noted, name="test.slow", queue="fast", timeout=181)(on_event)
    assert [m.msg for m in found()] == [
        "Subscriber 'test.slow' has timeout=181, but its queue 'fast' is meant for jobs of at "
        "most 180 s."
    ]


@pytest.fixture
def no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxEvent._meta, "db_table", "not_migrated")


@pytest.mark.django_db
@pytest.mark.usefixtures("no_table")
def test_w003_a_database_in_use_without_the_outbox(monkeypatch: pytest.MonkeyPatch):
    assert_one(
        "W003",
        WARNING,
        "Database 'default' has no table 'not_migrated', so publish() and the relay fail there.",
        "Run: manage.py migrate --database=default eda_django.",
        obj=None,
        databases=["default"],
    )
    assert found(databases=[]) == []
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    assert found(databases=["default"]) == []


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.usefixtures("no_table")
@override_settings(DATABASE_ROUTERS=[NoOutbox()])
def test_w003_is_silent_where_the_router_wants_no_outbox():
    assert [m.msg.split()[1] for m in found(databases=["default", "other"])] == ["'default'"]


@pytest.mark.django_db
def test_w003_is_silent_about_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch):
    def away(*_: Any) -> None:
        raise OperationalError("could not connect")

    monkeypatch.setattr(connection.introspection, "table_names", away)
    assert database_checks.has_outbox("default")
    assert [m.id for m in database_checks.check_tables(databases=["default"])] == []


@pytest.fixture
def as_sqlite(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Have the default database look like SQLite; return its options."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", options)
    return options


def test_w004_sqlite_that_does_not_wait_for_its_writer(as_sqlite: dict[str, Any]):
    assert_one(
        "W004",
        WARNING,
        "Database 'default' is SQLite without transaction_mode 'IMMEDIATE': a subscriber that "
        "reads before it writes fails with 'database is locked' when others write.",
        "Set DATABASES[…]['OPTIONS'] = {'transaction_mode': 'IMMEDIATE', 'timeout': 30}.",
        obj=None,
    )
    as_sqlite["transaction_mode"] = "DEFERRED"
    assert [m.id for m in found()] == ["eda_django.W004"]
    for mode in ("IMMEDIATE", "exclusive"):
        as_sqlite["transaction_mode"] = mode
        assert found() == []


@pytest.mark.parametrize("lease", [0.5, 4.999])
def test_w006_a_lease_shorter_than_a_worker_needs_to_start(lease: float):
    with override_settings(EDA_DJANGO={"LEASE": lease}):
        assert_one(
            "W006",
            WARNING,
            f"EDA_DJANGO['LEASE'] is {lease:g} s: if a worker takes longer than that from getting "
            f"a job to starting it, its claim is gone each time, and nothing is ever delivered.",
            "Set it to 5 or more.",
            obj=None,
        )


@pytest.mark.parametrize("options", [{"LEASE": 5}, {"LEASE": 30.0}, {}])
def test_w006_is_silent_about_any_other_lease(options: dict[str, Any]):
    with override_settings(EDA_DJANGO=options):
        assert found() == []


def test_w006_is_silent_about_what_is_an_error():
    with override_settings(EDA_DJANGO={"LEASE": -1}):
        assert [m.id for m in found()] == ["eda_django.E001"]


@pytest.mark.django_db(databases=["default", "other"])
def test_w007_is_silent_about_tables_as_migrate_makes_them():
    assert found(databases=["default", "other"]) == []


only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="Only PostgreSQL has a vacuum."
)


@only_postgresql
@pytest.mark.django_db
def test_w007_a_table_without_its_storage_parameters():
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE eda_django_delivery RESET (autovacuum_vacuum_threshold, "
            "autovacuum_analyze_threshold)"
        )
    assert_one(
        "W007",
        WARNING,
        "Table 'eda_django_delivery' on database 'default' has lost its storage parameters "
        "autovacuum_analyze_threshold, autovacuum_vacuum_threshold: PostgreSQL vacuums it too "
        "late, and claims get slower.",
        "Set them again, with the statement of that page or with values of your own.",
        obj=None,
        databases=["default"],
    )


@only_postgresql
@pytest.mark.django_db
def test_w007_is_silent_about_values_of_the_sites_own():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE eda_django_delivery SET (autovacuum_vacuum_threshold = 7)")
    assert found(databases=["default"]) == []


def test_w007_knows_the_parameters_that_the_migration_sets():
    migration = import_module("eda_django.migrations.0002_autovacuum")
    assert set(migration.OPTIONS) == database_checks.STORAGE_PARAMETERS
