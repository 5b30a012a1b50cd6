"""insert_events(): each event becomes a row that has all of its envelope, however many they are."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from eda_django import Event
from eda_django.models import NewEvent, OutboxEvent, insert_events
from eda_django.models.event_insertion import FEW

# Letters of one byte and of four, a quotation mark, a placeholder, and what JSON escapes.
WORDS = "Zoë 🧾 'it' %s \\ \n"


def full(number: int, **changes: Any) -> Event[Any]:
    """Return an envelope of which no field has its default."""
    sent: Event[Any] = Event(
        data={"number": number, "words": WORDS},
        id=uuid4(),
        type="t.happened",
        version=3,
        source="tests",
        time=timezone.now(),
        correlation_id=f"chain-{number}",
        causation_id=uuid4(),
        key="k",
        headers={"traceparent": WORDS},
    )
    return replace(sent, **changes)


def new(envelope: Event[Any], once: str | None = None) -> NewEvent:
    return NewEvent(envelope, json.dumps(envelope.data, ensure_ascii=False), once)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 100])
def test_a_row_has_the_whole_envelope(count: int) -> None:
    sent = [full(number) for number in range(count)]
    insert_events(connection, [new(envelope) for envelope in sent])
    rows = OutboxEvent.objects.order_by("pk")
    assert [row.envelope(row.data) for row in rows] == sent
    assert {(r.relayed_at, r.available_at, r.error, r.idempotency_key) for r in rows} == {
        (None, None, "", None)
    }


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_what_may_be_empty_is_stored_as_such(count: int) -> None:
    sent = [full(number, causation_id=None, key="", headers={}) for number in range(count)]
    insert_events(connection, [new(envelope) for envelope in sent])
    rows = OutboxEvent.objects.order_by("pk")
    assert [row.envelope(row.data) for row in rows] == sent


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_idempotency_keys_are_stored(count: int) -> None:
    insert_events(connection, [new(full(number), f"once-{number}") for number in range(count)])
    found = OutboxEvent.objects.order_by("pk").values_list("idempotency_key", flat=True)
    assert list(found) == [f"once-{number}" for number in range(count)]


@pytest.mark.django_db
def test_no_events_take_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_events(connection, [])
