"""Housekeeping: what is finished is pruned."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import ProgrammingError, connection
from django.utils import timezone

from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.relay.standing_in import Clock, failing, nothing
from tests.relaying import (
    Recorder,
    happen,
    on_happened,
    relayed,
)


@pytest.mark.django_db(transaction=True)
def test_housekeeping_that_fails_keeps_nothing_from_being_relayed(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A table of the site's that refers to events must not stop the events."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    on_happened(nothing)
    relayed().work()
    OutboxEvent.objects.update(relayed_at=after(-100_000), time=timezone.now() - timedelta(days=2))
    transport, clock = Recorder(), Clock()
    relay = Relay(transport=transport, clock=clock)
    refused = failing("DELETE", ProgrammingError("referred to"), table="eda_django_outboxevent")
    with connection.execute_wrapper(refused):
        for count in (2, 4):
            happen(2)
            relay.turn()
            assert len(transport.ids) == count
            clock.now += 60
    assert caplog.text.count("relay turn failed") == 2
    assert OutboxEvent.objects.count() == 5
    relay.turn()
    assert OutboxEvent.objects.count() == 4


@pytest.mark.django_db
def test_finished_events_are_pruned_in_batches_each_turn(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G7."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    on_happened(nothing)
    relayed(5).work()
    OutboxEvent.objects.update(relayed_at=after(-100_000), time=timezone.now() - timedelta(days=2))
    relay = Relay(transport=Recorder(), batch_size=2)
    left = []
    with caplog.at_level(logging.INFO, "eda_django"):
        for _ in range(3):
            relay.turn()
            left.append(OutboxEvent.objects.count())
    assert left == [3, 1, 0]
    assert not Delivery.objects.exists()
    assert caplog.text.count("pruned events=") == 3


@pytest.mark.django_db
def test_pruning_rests_once_it_is_through(settings: Any) -> None:
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    on_happened(nothing)
    clock = Clock()
    relay = Relay(transport=Recorder(), clock=clock)
    relay.turn()
    relayed().work()
    OutboxEvent.objects.update(relayed_at=after(-100_000))
    clock.now += 59
    relay.turn()
    assert OutboxEvent.objects.exists()
    clock.now += 1
    relay.turn()
    assert not OutboxEvent.objects.exists()
