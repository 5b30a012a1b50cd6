"""`manage.py check`: each id has a test that provokes it, and a clean project is silent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage
from django.core.checks.registry import registry as check_registry
from django.db import OperationalError, connection, connections
from django.test import override_settings

from eda_django import Event, checks, event, subscribes
from eda_django.models import OutboxEvent
from eda_django.registry import registry

from .testapp.events import Noted


def found(**options: Any) -> list[CheckMessage]:
    """Run all checks as `manage.py check` does; return the library's."""
    messages = django_checks.run_checks(**options)
    return [m for m in messages if str(m.id).startswith("eda_django.")]


@pytest.fixture
def alone() -> Iterator[None]:
    """Hide the subscriptions of the suite's own apps."""
    hidden = list(registry)
    for subscription in hidden:
        registry.remove(subscription.name)
    yield
    for name in registry.names():
        registry.remove(name)
    for subscription in hidden:
        registry.add(subscription)


def on_event(event: Event[Any]) -> None:
    """Subscribe to whatever a test needs."""


def on_other(event: Event[Any]) -> None:
    """Subscribe to something else."""


ON_EVENT = "tests.test_checks.on_event"


def assert_one(number: str, level: int, text: str, hint: str, *, obj: Any, **options: Any) -> None:
    [message] = found(**options)
    assert message.id == f"eda_django.{number}"
    assert message.level == level
    assert message.msg == text
    page = f"docs/reference/checks.md#{number.lower()}"
    assert message.hint == f"{hint} See {page}"
    assert message.obj == obj


ERROR, WARNING = django_checks.ERROR, django_checks.WARNING


@pytest.mark.django_db(databases=["default", "other"])
def test_a_clean_project_is_silent():
    assert found(databases=["default", "other"]) == []
    assert found(tags=["eda_django"]) == []


def test_the_checks_are_registered_once():
    before = len(check_registry.get_checks())
    checks.register()
    assert len(check_registry.get_checks()) == before
    tagged = check_registry.get_checks()
    assert sum(check.__module__ == "eda_django.checks" for check in tagged) == 6


@override_settings(EDA_DJANGO={"BATCH_SZIE": 5})
def test_e001_an_unknown_key():
    assert_one(
        "E001",
        ERROR,
        "Unknown EDA_DJANGO key 'BATCH_SZIE', did you mean 'BATCH_SIZE'?",
        "Correct settings.EDA_DJANGO.",
        obj=None,
    )


@override_settings(EDA_DJANGO={"QUEUE": 5, "LEASE": "30"})
def test_e001_mistyped_values_and_the_other_checks_go_on():
    assert [m.msg for m in found()] == [
        "EDA_DJANGO['QUEUE'] must be the name of a queue in RQ_QUEUES, not 5.",
        "EDA_DJANGO['LEASE'] must be a number of seconds above 0, not '30'.",
    ]


@override_settings(EDA_DJANGO="fast")
def test_e001_a_setting_that_is_no_dict():
    assert [m.msg for m in found()] == ["EDA_DJANGO must be a dict of options, not 'fast'."]


def test_e002_two_subscriptions_of_one_name():
    subscribes(Noted, name="test.same")(on_event)
    subscribes(Noted, name="test.same")(on_other)
    lines = [f.__code__.co_firstlineno for f in (on_event, on_other)]
    assert_one(
        "E002",
        ERROR,
        f"Two subscribers are named 'test.same': {ON_EVENT} (line {lines[0]}) and "
        f"tests.test_checks.on_other (line {lines[1]}).",
        "Give one of them another name: @subscribes(…, name=…).",
        obj="tests.test_checks.on_other",
    )


@pytest.mark.parametrize("second", ["test.MAIL", "test.mail "])
def test_e002_two_names_that_are_one_to_mysql(second: str):
    """G4: there, the relay could give neither subscriber its delivery."""
    subscribes(Noted, name="test.mail")(on_event)
    subscribes(Noted, name=second)(on_other)
    assert_one(
        "E002",
        ERROR,
        f"The subscribers 'test.mail' and {second!r} have one name to a database that compares "
        f"without case, such as MySQL.",
        "Give one of them another name: @subscribes(…, name=…).",
        obj="tests.test_checks.on_other",
    )


class Desk:
    def on_event(self, event: Event[Any] | None = None) -> None:
        """Belong to an object that no worker has."""


def test_e003_a_subscriber_that_no_worker_could_import():
    def nested(event: Event[Any]) -> None: ...

    def gone(event: Event[Any]) -> None: ...

    def of_no_module(event: Event[Any]) -> None: ...

    gone.__qualname__ = "gone"
    of_no_module.__qualname__ = "of_no_module"
    of_no_module.__module__ = "nowhere"
    functions: tuple[Any, ...] = (
        nested,
        lambda event: None,
        Desk().on_event,
        Desk.on_event,
        gone,
        of_no_module,
    )
    for number, function in enumerate(functions):
        subscribes(Noted, name=f"test.{number}")(function)
    messages = found()
    assert [m.id for m in messages] == ["eda_django.E003"] * len(functions)
    path = f"tests.test_checks.{nested.__qualname__}"
    assert messages[0].msg == (
        f"Subscriber 'test.0' ({path}) is a lambda or defined inside a function or class, so no "
        f"worker could find it."
    )
    assert messages[0].hint == (
        "Define it at the top level of a subscribers.py. See docs/reference/checks.md#e003"
    )


def test_e004_a_queue_that_is_not_in_rq_queues(alone: None, settings: Any):
    settings.RQ_QUEUES = {"default": {}, "fast": {}}
    subscribes(Noted, queue="fats")(on_event)
    assert_one(
        "E004",
        ERROR,
        f"Subscriber {ON_EVENT!r} has queue 'fats', which is not in RQ_QUEUES.",
        "Add 'fats' to settings.RQ_QUEUES; it has 'default', 'fast'.",
        obj=ON_EVENT,
    )


def test_e004_the_default_queue_counts_too(alone: None):
    subscribes(Noted)(on_event)
    with override_settings(EDA_DJANGO={"QUEUE": "events"}):
        [message] = found()
    assert message.msg == f"Subscriber {ON_EVENT!r} has queue 'events', which is not in RQ_QUEUES."


def test_e005_a_class_that_pydantic_can_not_read():
    class Odd:
        pass

    @event("test.odd")
    @dataclass
    class HasOdd:
        field: Odd

    [message] = found()
    assert (message.id, message.level, message.obj) == ("eda_django.E005", ERROR, "test.odd")
    assert message.msg.startswith(f"Event class {HasOdd.__qualname__}: Unable to generate pydantic")
    assert message.hint == (
        "Give every field a type that pydantic knows; before Python 3.12 take TypedDict from "
        "typing_extensions. See docs/reference/checks.md#e005"
    )


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
    settings.RQ_QUEUES = {"fast": {"DEFAULT_TIMEOUT": 30}}
    subscribes(Noted, name="test.slow", queue="fast", timeout=60.5)(on_event)
    assert_one(
        "W002",
        WARNING,
        "Subscriber 'test.slow' has timeout=60.5, but its queue 'fast' is meant for jobs of at "
        "most 30 s.",
        "Raise DEFAULT_TIMEOUT of RQ_QUEUES['fast'], or lower the subscriber's timeout.",
        obj=ON_EVENT,
    )


@pytest.mark.parametrize("limit", [60, 3600, -1, "1h", None])
def test_w002_is_silent_where_the_queue_allows_as_much(alone: None, settings: Any, limit: Any):
    settings.RQ_QUEUES = {"fast": {"DEFAULT_TIMEOUT": limit}}
    subscribes(Noted, queue="fast", timeout=60)(on_event)
    assert found() == []


def test_w002_counts_rqs_own_default(alone: None, settings: Any):
    settings.RQ_QUEUES = {"fast": {}}
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
        "Run: manage.py migrate --database=default eda_django",
        obj=None,
        databases=["default"],
    )
    assert found(databases=[]) == []
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    assert found(databases=["default"]) == []


class NoOutbox:
    """Keeps the library's tables off the second database."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return not (db == "other" and app_label == "eda_django")


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
    assert checks.has_outbox("default")
    assert checks.check_databases(databases=["default"]) == []


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
