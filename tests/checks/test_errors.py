"""`manage.py check`: each error has a test that provokes it, and a clean project is silent."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.core.checks.registry import registry as check_registry
from django.test import override_settings

from eda_django import Event, checks, event, subscribes
from tests.checks.checking import ERROR, ON_EVENT, assert_one, found, on_event
from tests.testapp.events import Noted


def on_other(event: Event[Any]) -> None:
    """Subscribe to something else."""


@pytest.mark.django_db(databases=["default", "other"])
def test_a_clean_project_is_silent():
    assert found(databases=["default", "other"]) == []
    assert found(tags=["eda_django"]) == []


OURS = ("eda_django.checks", "eda_django.database_checks", "eda_django.subscription_checks")


def test_the_checks_are_registered_once():
    before = len(check_registry.get_checks())
    checks.register()
    assert len(check_registry.get_checks()) == before
    tagged = check_registry.get_checks()
    assert sum(check.__module__ in OURS for check in tagged) == 11


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
        "EDA_DJANGO['LEASE'] must be a number of seconds above 0 and below 1,000,000,000, not "
        "'30'.",
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
        f"tests.checks.test_errors.on_other (line {lines[1]}).",
        "Give one of them another name: @subscribes(…, name=…).",
        obj="tests.checks.test_errors.on_other",
    )


def test_e002_one_function_subscribed_with_different_options_under_one_name():
    """G4: the queues that come first would get nothing, for ever."""
    for queue in ("default", "fast"):

        @subscribes(Noted, name="test.loop", queue=queue)
        def looped(event: Event[Any]) -> None: ...

    [message] = [m for m in found() if m.id == "eda_django.E002"]
    place = f"{looped.__module__}.{looped.__qualname__} (line {looped.__code__.co_firstlineno})"
    assert message.msg == (
        f"Two subscribers are named 'test.loop', and {place} is both, with different options: it "
        f"is decorated several times, as in a loop."
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
        obj="tests.checks.test_errors.on_other",
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
    inside = "is a lambda or defined inside a function or class"
    away = "is not there under this name"
    paths = [f"{f.__module__}.{f.__qualname__}" for f in functions]
    assert [m.msg for m in messages] == [
        f"Subscriber 'test.{number}' ({path}) {why}, so no worker could find it."
        for number, (path, why) in enumerate(zip(paths, [inside] * 4 + [away] * 2, strict=True))
    ]
    page = 'See E003 on the page "System checks" of the documentation.'
    assert messages[0].hint == (
        f"Define it at the top level of a subscribers.py. A decorator needs functools.wraps. {page}"
    )
    assert messages[5].hint == (
        f"Have the module 'nowhere' be one that can be imported, and have 'of_no_module' in it. "
        f"{page}"
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


@override_settings(EDA_DJANGO={"QUEUE": "events"}, RQ_QUEUES={})
def test_e004_names_no_queue_to_take_where_there_is_none(alone: None):
    subscribes(Noted, queue="fast")(on_event)
    page = 'See E004 on the page "System checks" of the documentation.'
    # Two checks say it; Django runs them in no order.
    assert sorted(str(m.hint) for m in found()) == [
        f"Add 'events' to settings.RQ_QUEUES, which has no queue yet. {page}",
        f"Add 'fast' to settings.RQ_QUEUES, which has no queue yet. {page}",
    ]


NO_DEFAULT = (
    "EDA_DJANGO['QUEUE'] is {!r}, which is not in RQ_QUEUES: subscribers that name no queue get "
    "nothing, and commits don't wake the relay."
)


@override_settings(EDA_DJANGO={"QUEUE": "events"}, RQ_QUEUES={"fast": {}, "slow": {}})
def test_e004_the_default_queue_is_missing_though_nobody_subscribes(alone: None):
    assert_one(
        "E004",
        ERROR,
        NO_DEFAULT.format("events"),
        "Add 'events' to settings.RQ_QUEUES, or set EDA_DJANGO['QUEUE'] to one that it has: "
        "'fast', 'slow'.",
        obj=None,
    )


@override_settings(RQ_QUEUES={"fast": {}})
def test_e004_a_missing_default_queue_is_said_once_for_all_subscribers(alone: None):
    for number in range(3):
        subscribes(Noted, name=f"test.{number}")(on_event)
    assert [m.msg for m in found()] == [NO_DEFAULT.format("default")]


@override_settings(EDA_DJANGO={"QUEUE": "events", "BATCH_SZIE": 5})
def test_e004_says_nothing_of_a_setting_that_is_wrong_already():
    assert [m.id for m in found()] == ["eda_django.E001"]


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
        "typing_extensions. See E005 on the page "
        '"System checks" of the documentation.'
    )


@override_settings(USE_TZ=False)
def test_e007_times_without_a_zone():
    """The console would compare the times of both kinds, and fail."""
    assert_one(
        "E007",
        ERROR,
        "USE_TZ is False: times of events and deliveries would be stored in one zone and read in "
        "another, and the console fails where it compares them.",
        "Set USE_TZ = True. TIME_ZONE may stay as it is.",
        obj=None,
    )
