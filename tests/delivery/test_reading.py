"""How a chunk is read: as Django would read it, in one statement."""

import copy
import json
import pickle
import secrets
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings

from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.models.clock import DatabaseNow
from eda_django.models.reading import LARGE
from eda_django.relay import Relay
from tests.delivery.claiming import queued
from tests.relaying import Recorder, Statements, happen, on_happened

pytestmark = pytest.mark.django_db


def values(row: Any) -> dict[str, tuple[type, Any]]:
    """Return what a row holds, with the types: 1 is not True, and a text is no time."""
    found = ((field.attname, getattr(row, field.attname)) for field in row._meta.concrete_fields)
    return {name: (type(value), value) for name, value in found}


def test_rows_are_what_django_makes_of_them() -> None:
    token, ids = queued(2)
    Delivery.objects.filter(pk=ids[0]).update(isolated=True, started_at=DatabaseNow(), key="größer")
    OutboxEvent.objects.filter(pk=Delivery.objects.get(pk=ids[1]).event_id).update(
        data={"a": [1, None, "ü"]}, headers={"b": "c"}, causation_id=uuid4(), idempotency_key="k"
    )
    read = Delivery.objects.startable(ids, token=token)
    for row, expected in zip(read, Delivery.objects.order_by("pk"), strict=True):
        assert values(row) == values(expected)
        assert values(row.event) == values(expected.event)
        assert (row, row.event) == (expected, expected.event)


def test_they_come_in_the_order_of_their_events_and_with_one_statement() -> None:
    token, ids = queued(3)
    first, _, last = Delivery.objects.order_by("pk")
    Delivery.objects.filter(pk=last.pk).update(event_id=first.event_id, subscriber="t.other")
    Delivery.objects.filter(pk=first.pk).update(event_id=last.event_id)
    with Statements() as captured:
        read = Delivery.objects.startable(ids, token=token)
        assert [row.event.pk for row in read] == [row.event_id for row in read]
    assert [row.pk for row in read] == [last.pk, ids[1], first.pk]
    assert len(captured.texts) == 1


def test_they_can_be_saved() -> None:
    token, ids = queued()
    (row,) = Delivery.objects.startable(ids, token=token)
    row.error_text = "by hand"
    row.save()
    row.event.error = "by hand"
    row.event.save()
    assert Delivery.objects.get().error_text == "by hand"
    assert OutboxEvent.objects.get().error == "by hand"


@pytest.mark.parametrize("change", [{"token": uuid4()}, {"status": Status.RUNNING}])
def test_what_is_not_under_the_claim_or_not_in_the_chunk_is_left_out(
    change: dict[str, Any],
) -> None:
    token, ids = queued(3)
    Delivery.objects.filter(pk=ids[0]).update(**change)
    assert [row.pk for row in Delivery.objects.startable(ids[:2], token=token)] == [ids[1]]
    assert Delivery.objects.startable([], token=token) == []


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_what_was_read_knows_its_database() -> None:
    """A receiver of a signal may follow its relations, or save something beside it."""
    on_happened(lambda event: None)
    happen(1, using="other")
    Relay(using="other", transport=Recorder()).poll()
    there = Delivery.objects.using("other")
    row = there.get()
    [found] = there.startable([row.pk], token=row.claim)
    assert (found._state.db, found.event._state.db) == ("other", "other")


def large(row: Delivery) -> dict[str, Any]:
    """Give a delivery's event more than is read with others. Databases compress what they can."""
    data = {"text": secrets.token_hex(LARGE)}
    OutboxEvent.objects.filter(pk=row.event_id).update(data=data)
    return data


def test_what_is_large_is_read_when_it_is_asked_for() -> None:
    """G4: then an attempt has been counted, and who reads it reads nothing else."""
    token, ids = queued(2)
    data = large(Delivery.objects.get(pk=ids[1]))
    with Statements() as captured:
        small, big = Delivery.objects.startable(ids, token=token)
        assert json.loads(small.event.json_of("data")) == {"number": 0}
        assert (small.event.headers, big.event.headers) == ({}, {})
        assert len(captured.texts) == 1
        assert json.loads(big.event.json_of("data")) == data
        assert len(captured.texts) == 2
        assert big.event.data == data
        assert len(captured.texts) == 2


class ReadsElsewhere:
    """Sends reads to a replica, as sites do."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return "other"


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_large_is_read_from_the_database_of_the_row(is_there: bool) -> None:
    """Wherever a router sends reads: a replica lags behind, and another outbox has others."""
    token, ids = queued()
    data = large(Delivery.objects.get())
    foreign = OutboxEvent.objects.get()
    if is_there:
        foreign.data = {"who": "another"}
        foreign.save(using="other", force_insert=True)
    with override_settings(DATABASE_ROUTERS=[ReadsElsewhere()]):
        [row] = Delivery.objects.using("default").startable(ids, token=token)
        assert json.loads(row.event.json_of("data")) == data
    assert row.event._state.db == "default"


def test_what_was_read_can_be_pickled_and_copied() -> None:
    """As caches do, and Django's TestCase."""
    token, ids = queued()
    [row] = Delivery.objects.startable(ids, token=token)
    for event in (row.event, OutboxEvent.objects.get()):
        for _ in range(2):
            assert pickle.loads(pickle.dumps(event)).data == {"number": 0}  # noqa: S301
            assert copy.deepcopy(event).data == {"number": 0}
            event.refresh_from_db()


def test_what_was_read_as_text_can_be_read_anew() -> None:
    token, ids = queued()
    (row,) = Delivery.objects.startable(ids, token=token)
    OutboxEvent.objects.update(data={"number": 1}, error="odd")
    row.event.refresh_from_db(fields=["data", "error"])
    assert (row.event.data, row.event.error) == ({"number": 0}, "odd")
    row.event.refresh_from_db()
    assert row.event.data == {"number": 1}
    assert json.loads(row.event.json_of("data")) == {"number": 1}
