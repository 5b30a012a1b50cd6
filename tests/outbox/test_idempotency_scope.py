"""Among which events an idempotency key is looked for: those of its database and of its type."""

import pytest
from django.db import transaction

from eda_django import publish
from eda_django.models import OutboxEvent
from tests.outbox.publishing import texts
from tests.testapp.events import Noted


@pytest.mark.django_db
def test_the_event_found_is_of_the_type_that_was_published() -> None:
    other = publish("legacy.noted", {"text": "other"}, idempotency_key="k")
    first = publish(Noted("first"), idempotency_key="k")
    assert publish(Noted("again"), idempotency_key="k").id == first.id
    assert publish("legacy.noted", {"text": "again"}, idempotency_key="k").id == other.id
    assert texts() == ["other", "first"]


@pytest.mark.django_db(databases=["default", "other"])
def test_each_database_has_keys_of_its_own() -> None:
    """G12."""
    here = publish(Noted("here"), idempotency_key="k")
    with transaction.atomic(using="other"):
        there = publish(Noted("there"), idempotency_key="k", using="other")
        assert publish(Noted("again"), idempotency_key="k", using="other").id == there.id
    assert publish(Noted("again"), idempotency_key="k").id == here.id
    assert (texts(), texts("other")) == (["here"], ["there"])
    assert OutboxEvent.objects.using("other").get().event_id == there.id
