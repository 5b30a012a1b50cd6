"""The kit for the tests of sites, in both kinds of test case."""

from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from eda_django import Discard, Event, RetryLater, publish
from eda_django.testing import capture, drain
from tests.relaying import HAPPENED, happen, on_happened
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
