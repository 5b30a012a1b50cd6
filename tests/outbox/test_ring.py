"""The doorbell rings once for a transaction, after its commit, and fails nothing."""

from typing import Any

import pytest
from django.db import transaction

from eda_django import publish, publish_many, signals
from tests.outbox.publishing import rolled_back, statements, texts
from tests.testapp.events import Noted
from tests.testapp.models import Order


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_once_a_transaction_and_after_it(rings: list[str]):
    """G6"""
    with transaction.atomic():
        for n in range(3):
            publish(Noted(str(n)))
        publish_many([Noted("x"), Noted("y")])
        publish(Noted("z"), idempotency_key="z")
        with transaction.atomic():
            publish(Noted("inner"))
        assert rings == []
    assert rings == ["default"]


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_for_what_committed_though_what_asked_first_rolled_back(rings: list[str]):
    with transaction.atomic():
        with rolled_back():
            publish(Noted("lost"))
        publish(Noted("kept"))
    assert (texts(), rings) == (["kept"], ["default"])


@pytest.mark.django_db(transaction=True)
def test_no_bell_rings_if_only_the_savepoint_with_the_event_rolled_back(rings: list[str]):
    with transaction.atomic():
        Order.objects.create(number="A-1")
        with rolled_back():
            publish(Noted("lost"))
    assert rings == []


@pytest.mark.django_db(transaction=True)
def test_no_bell_rings_for_an_event_that_was_there_already(rings: list[str]):
    for _ in range(2):
        with transaction.atomic():
            publish(Noted("a"), idempotency_key="a")
    assert rings == ["default"]


@pytest.mark.django_db(transaction=True)
def test_a_doorbell_that_fails_fails_nothing():
    """G6"""

    def fail(**_: Any) -> None:
        raise ConnectionError("no Redis today")

    signals.events_committed.connect(fail)
    try:
        with statements() as captured, transaction.atomic():
            publish(Noted("a"))
    finally:
        signals.events_committed.disconnect(fail)
    assert texts() == ["a"]
    assert sum(q["sql"].startswith("INSERT") for q in captured) == 1
