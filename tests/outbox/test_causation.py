"""Correlation and causation: what an event was published because of."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync

from eda_django import Event, apublish, publish, publish_many
from eda_django.events import current_event
from eda_django.models import OutboxEvent
from tests.testapp.events import Noted

CAUSE = Event(
    data=None,
    id=UUID(int=7),
    type="test.cause",
    version=1,
    source="tests",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="chain-1",
)


@contextmanager
def caused_by(cause: Event[Any]) -> Iterator[None]:
    token = current_event.set(cause)
    try:
        yield
    finally:
        current_event.reset(token)


@pytest.mark.django_db
def test_the_first_event_of_a_chain_names_the_chain():
    sent = publish(Noted())
    assert (sent.correlation_id, sent.causation_id) == (str(sent.id), None)


@pytest.mark.django_db
def test_what_a_subscriber_publishes_carries_its_chain_and_its_cause():
    with caused_by(CAUSE):
        sent = [publish(Noted()), *publish_many([Noted(), Noted()])]
    assert {(e.correlation_id, e.causation_id) for e in sent} == {("chain-1", CAUSE.id)}
    rows = OutboxEvent.objects.values_list("correlation_id", "causation_id")
    assert set(rows) == {("chain-1", CAUSE.id)}


@pytest.mark.django_db
@pytest.mark.parametrize(("given", "stored"), [("own", "own"), (UUID(int=3), str(UUID(int=3)))])
def test_a_correlation_id_that_is_given_wins_and_the_cause_stays(given: Any, stored: str):
    with caused_by(CAUSE):
        sent = publish(Noted(), correlation_id=given)
    assert (sent.correlation_id, sent.causation_id) == (stored, CAUSE.id)


@pytest.mark.django_db(transaction=True)
def test_the_cause_reaches_async_code_and_its_threads():
    async def main() -> Event[Any]:
        return await apublish(Noted())

    with caused_by(CAUSE):
        assert async_to_sync(main)().causation_id == CAUSE.id
