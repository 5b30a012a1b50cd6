"""The kit for the tests of sites, in both kinds of test case."""

from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from eda_django import Discard, Event, InvalidEvent, RetryLater, publish, verdicts
from eda_django.testing import capture, drain
from tests.relaying import HAPPENED, happen, on_happened
from tests.testapp.events import Noted
from tests.testapp.models import Effect


def write(seen: Event[Any]) -> None:
    Effect.objects.create(subscriber="t.sub", event_id=seen.id, attempt=seen.attempt)
    if seen.data["number"] == 0:
        publish(HAPPENED, {"number": 99})
    if seen.data["number"] == 1:
        raise RuntimeError("number one fails")
    if seen.data["number"] == 2:
        raise RetryLater(60)
    if seen.data["number"] == 3:
        raise Discard("three")


def refusal(event: Any) -> str:
    with pytest.raises(InvalidEvent) as caught, capture(event):
        pass
    return str(caught.value)


class Kit:
    """What must hold in either kind of test case."""

    def test_drain_runs_all_there_is_and_what_that_causes(self) -> None:
        on_happened(write)
        happen(5)
        rows = drain()
        told = [(row.event.data["number"], row.status, row.attempts) for row in rows]
        assert told == [
            (0, "succeeded", 1),
            (1, "pending", 1),
            (2, "pending", 0),
            (3, "discarded", 1),
            (4, "succeeded", 1),
            (99, "succeeded", 1),
        ]
        assert Effect.objects.count() == 3
        assert drain() == []

    def test_drain_ends_though_a_subscriber_is_to_be_tried_again_at_once(self) -> None:
        def put_off(seen: Event[Any]) -> None:
            raise RetryLater(0)

        on_happened(put_off)
        happen(2)
        # Also where the others take so long that the time of the first has come.
        with patch.object(verdicts, "SHORTEST", 0.0):
            assert [(row.status, row.attempts) for row in drain()] == [("pending", 0)] * 2

    def test_capture_collects_what_the_body_publishes(self) -> None:
        happen(1)
        with capture() as events:
            happen(2)
            with transaction.atomic():
                publish("t.other", {})
        assert [event.type for event in events] == [HAPPENED, HAPPENED, "t.other"]

    def test_capture_may_be_of_some_types_only(self) -> None:
        with capture("t.other") as events:
            happen(2)
            with transaction.atomic():
                publish("t.other", {"a": 1})
        assert [event.data for event in events] == [{"a": 1}]

    def test_capture_knows_what_was_rolled_back(self) -> None:
        with capture() as events:
            with transaction.atomic():
                publish(HAPPENED, {})
                transaction.set_rollback(True)
            happen(1)
        assert len(events) == 1

    def test_capture_takes_classes_as_publish_does(self) -> None:
        with capture(Noted, "t.other") as events, transaction.atomic():
            publish(HAPPENED, {})
            publish(Noted("a"))
            publish("t.other", {})
        assert [event.type for event in events] == ["testapp.noted", "t.other"]

    def test_capture_of_a_known_event_may_find_none(self) -> None:
        on_happened(write)
        with transaction.atomic():
            publish("t.other", {})
        with capture(Noted, HAPPENED, "t.other") as events:
            pass
        assert events == []

    def test_capture_refuses_a_name_that_nothing_knows(self) -> None:
        """Nothing could be found under it, and a test for nothing would always pass."""
        assert refusal("testapp.notd") == (
            "capture('testapp.notd'): nothing declares this event or subscribes to it, and none "
            "was ever published; did you mean 'testapp.noted'? Otherwise declare it: "
            "@event('testapp.notd')."
        )
        assert "published; is the name right? Otherwise" in refusal("x" * 40)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "shown"),
    [(Effect, "<class 'tests.testapp.models.Effect'>"), (Noted("a"), "Noted(text='a', behave='')")],
)
def test_capture_refuses_what_is_no_event(wrong: Any, shown: str) -> None:
    assert refusal(wrong) == (
        f"capture() takes events by class or name, and {shown} is no class that is decorated "
        f"with @event."
    )


@pytest.mark.django_db
def test_capture_refuses_a_pattern() -> None:
    assert refusal("testapp.*").startswith("Event 'testapp.*': an event's name has letters")


@pytest.mark.django_db
def test_an_error_of_the_body_comes_before_one_of_the_name() -> None:
    with pytest.raises(KeyError), capture("testapp.notd"):
        raise KeyError


class InTestCase(Kit, TestCase):
    pass


class InTransactionTestCase(Kit, TransactionTestCase):
    pass


@pytest.mark.django_db(databases=["default", "other"])
def test_kit_knows_other_databases() -> None:
    on_happened(lambda seen: None)
    with capture(using="other") as events:
        happen(2, using="other")
    assert len(events) == 2
    assert [row.status for row in drain("other")] == ["succeeded", "succeeded"]
    assert drain() == []
