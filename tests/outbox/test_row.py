"""publish(): the row, and that it costs one INSERT."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from eda_django import Event, event, payloads, publish, publish_many
from eda_django.events import types
from eda_django.models import OutboxEvent
from eda_django.models.event_insertion import FEW
from tests.outbox.publishing import placed, statements, texts
from tests.testapp.events import Noted
from tests.testapp.models import Order

# The row and the envelope


@pytest.mark.django_db
def test_the_row_has_all_that_the_envelope_has():
    before = timezone.now()
    sent = publish(placed(), key=7, headers={"tenant": "north"}, correlation_id="c-1")
    row = OutboxEvent.objects.get()
    assert row.envelope(sent.data) == sent
    assert sent == Event(
        data=placed(),
        id=row.event_id,
        type="testapp.order_placed",
        version=1,
        source="tests",
        time=row.time,
        key="7",
        headers={"tenant": "north"},
        correlation_id="c-1",
        causation_id=None,
        attempt=0,
    )
    assert row.data == {
        "number": "A-1",
        "total": "12.50",
        "placed_at": "2026-01-02T03:04:00Z",
        "reference": str(UUID(int=5)),
    }
    assert before <= row.time <= timezone.now()
    assert (row.relayed_at, row.available_at, row.idempotency_key) == (None, None, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [
        (Noted("a"),),
        (Noted, Noted("a")),
        (Noted, {"text": "a"}),
        ("testapp.noted", Noted("a")),
        ("testapp.noted", {"text": "a"}),
    ],
)
def test_an_event_is_named_by_its_payload_its_class_or_its_name(arguments: tuple[Any, ...]):
    sent = publish(*arguments)
    assert (sent.type, sent.data) == ("testapp.noted", Noted("a"))
    assert OutboxEvent.objects.get().data == {"text": "a", "behave": ""}


@pytest.mark.django_db
def test_an_undeclared_name_takes_a_dict():
    sent = publish("legacy.noted", {"text": "a", "at": datetime(2026, 1, 2)})
    row = OutboxEvent.objects.get()
    assert (row.type, row.version) == (sent.type, sent.version) == ("legacy.noted", 1)
    assert row.data == {"text": "a", "at": "2026-01-02T00:00:00"}


@pytest.mark.django_db
def test_uuids_decimals_and_datetimes_raise_nothing_in_the_business_transaction():
    """Declared they come back as they were, undeclared as texts."""
    declared = placed()
    fields = {
        "id": declared.reference,
        "total": declared.total,
        "at": declared.placed_at,
    }
    with transaction.atomic():
        Order.objects.create(number="A-1")
        publish(declared)
        publish("test.dict", fields)
    first, second = OutboxEvent.objects.order_by("pk")
    known = types.get("testapp.order_placed")
    assert known
    assert payloads.decode(known, version=first.version, tree=first.data) == declared
    assert second.data == {
        "id": str(declared.reference),
        "total": "12.50",
        "at": "2026-01-02T03:04:00Z",
    }
    assert Order.objects.count() == 1


@pytest.mark.django_db
def test_the_declared_version_is_stored():
    @event("test.versioned", version=4)
    @dataclass
    class Versioned:
        text: str = ""

    assert publish(Versioned()).version == OutboxEvent.objects.get().version == 4


@pytest.mark.django_db
def test_the_source_is_the_sites():
    with override_settings(EDA_DJANGO={"SOURCE": "shop"}):
        assert publish(Noted()).source == OutboxEvent.objects.get().source == "shop"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "stored"),
    [(None, ""), ("a", "a"), (7, "7"), (UUID(int=1), str(UUID(int=1))), ("é" * 255,) * 2],
)
def test_a_key_is_a_text_a_whole_number_or_a_uuid(key: Any, stored: str):
    assert publish(Noted(), key=key).key == OutboxEvent.objects.get().key == stored


@pytest.mark.django_db
def test_the_row_holds_what_was_published_whatever_happens_to_the_dict():
    payload = {"list": [1]}
    headers = {"list": [1]}
    publish("test.dict", payload, headers=headers)
    payload["list"].append(2)
    headers["list"].append(2)
    row = OutboxEvent.objects.get()
    assert (row.data, row.headers) == ({"list": [1]}, {"list": [1]})


@pytest.mark.django_db
def test_texts_numbers_and_names_survive_the_database():
    """Each database stores JSON its own way; what publish() takes must come out the same."""
    sent = {
        "emoji 🎁": "naïve \\u0000 \x01 \u2028",
        "large": [2**63 - 1, -(2**63), 2**64 - 1],
        "floats": [0.1 + 0.2, 1e22, 5e-324, 1.5],
        "deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]],
        "": None,
    }
    publish("test.dict", sent)
    assert OutboxEvent.objects.get().data == sent


@pytest.mark.django_db
def test_a_name_is_not_declared_by_being_published():
    """G10: a relay routes what is declared, and would route it past subscribers it lacks."""
    publish("test.never_declared", {})
    assert types.get("test.never_declared") is None


# G1: one INSERT


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("using", ["default", "other"])
def test_publish_is_one_insert_and_nothing_else(using: str):
    """G1"""
    with transaction.atomic(using=using):
        Order.objects.using(using).create(number="A-1")
        with statements(using) as captured:
            publish(Noted("a"), key=1, headers={"a": 1}, using=using)
    assert [q["sql"].split()[0] for q in captured] == ["INSERT"]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 50])
def test_publish_many_is_one_insert_for_all(count: int):
    """G1"""
    with transaction.atomic(), statements() as captured:
        sent = publish_many([Noted(str(n)) for n in range(count)])
    assert [q["sql"].split()[0] for q in captured if "SAVEPOINT" not in q["sql"]] == ["INSERT"]
    assert texts() == [e.data.text for e in sent] == [str(n) for n in range(count)]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_few_and_many_are_written_in_the_same_way(count: int):
    """On PostgreSQL the statements differ."""
    awkward: dict[str, Any] = {
        "quote ' \" $ %s": ["naïve 🎁\\", None, {}, 0.1],
        "": {"%(a)s": True},
    }
    pairs = [("test.dict", {**awkward, "number": n}) for n in range(count)]
    sent = publish_many(pairs, key=lambda p: f"%s'{p['number']}", headers={"it's": ["%"]})
    found = [row.envelope(row.data) for row in OutboxEvent.objects.order_by("pk")]
    assert found == sent
    assert [event.data for event in found] == [payload for _, payload in pairs]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_with_events_costs_only_their_inserts_more():
    """G1: neither the commit nor the doorbell asks the database for anything."""
    with statements() as captured, transaction.atomic():
        for n in range(3):
            publish(Noted(str(n)))
    verbs = [q["sql"].split()[0] for q in captured if q["sql"] not in ("BEGIN", "BEGIN IMMEDIATE")]
    assert [verb for verb in verbs if verb != "COMMIT"] == ["INSERT"] * 3


@pytest.mark.django_db
def test_publish_many_of_nothing_asks_for_nothing(rings: list[str]):
    with statements() as captured:
        assert publish_many([]) == []
    assert len(captured) == 0
