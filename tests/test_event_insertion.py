"""insert_events(): each event becomes a row that has all of its envelope, however many they are."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from eda_django import Event
from eda_django.models import NewEvent, OutboxEvent, event_insertion, insert_events
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
@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_idempotency_keys_are_stored(count: int) -> None:
    keys = [f"once-{number}" if number != 1 else None for number in range(count)]
    insert_events(connection, [new(full(number), keys[number]) for number in range(count)])
    found = OutboxEvent.objects.order_by("pk").values_list("idempotency_key", flat=True)
    assert list(found) == keys


@pytest.mark.django_db
def test_no_events_take_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_events(connection, [])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("alias", ["default", "other"])
@pytest.mark.parametrize("count", [3, 100])
def test_an_insert_that_fails_halfway_leaves_nothing(alias: str, count: int) -> None:
    """G1: also where no transaction is open."""
    sent = [full(number) for number in range(count)]
    with pytest.raises(IntegrityError):
        insert_events(connections[alias], [new(envelope) for envelope in (*sent, sent[0])])
    assert not OutboxEvent.objects.using(alias).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW + 1, 1_000])
def test_however_many_they_are_they_take_one_statement(
    count: int, django_assert_num_queries: Any
) -> None:
    sent = [new(full(number)) for number in range(count)]
    with django_assert_num_queries(1):
        insert_events(connection, sent)
    found = OutboxEvent.objects.order_by("pk").values_list("correlation_id", flat=True)
    assert list(found) == [event.envelope.correlation_id for event in sent]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_json_is_stored_in_ascii_where_the_database_keeps_its_text(count: int) -> None:
    """A connection or a column of MySQL may know no letters of four bytes."""
    insert_events(connection, [new(full(number)) for number in range(count)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT data, headers FROM eda_django_outboxevent")
        stored = [str(text) for row in cursor.fetchall() for text in row]
    assert all(text.isascii() for text in stored) == (connection.vendor != "postgresql")


@pytest.mark.django_db(transaction=True)
def test_a_transaction_whose_insert_failed_can_not_go_on_without_its_event() -> None:
    """G1: after a deadlock InnoDB has undone all before it, and would commit what comes after."""
    sent = full(1)
    with transaction.atomic():
        insert_events(connection, [new(sent)])
        with pytest.raises(IntegrityError):
            insert_events(connection, [new(sent)])
        with pytest.raises(TransactionManagementError):
            OutboxEvent.objects.exists()
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only psycopg keeps statements.")
def test_the_driver_keeps_the_statement_of_a_few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes apart anew, each time, what has more parameters than it keeps."""
    from psycopg import _queries

    params: list[Any] = []
    monkeypatch.setattr(event_insertion, "_execute", lambda _, rows, given: params.extend(given))
    insert_events(connection, [new(full(number)) for number in range(FEW)])
    assert 0 < len(params) <= _queries.MAX_CACHED_STATEMENT_PARAMS
