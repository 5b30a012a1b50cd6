"""Old code and new code side by side: what the old does not know waits, and is seen to (G10)."""

import pytest
from django.db import connection, transaction

from eda_django import publish
from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.models.status import UNDECODABLE
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.processes import Process, Processes, relay_words, worker_words
from tests.relaying import make_due
from tests.testapp.events import Noted
from tests.testapp.models import Effect
from tests.waiting import eventually

pytestmark = pytest.mark.processes

SUBSCRIBER, EVENT = "testapp.behave", "testapp.noted"


def test_worker_with_older_code_leaves_deliveries_to_newer_code(processes: Processes) -> None:
    old = processes.spawn(*worker_words("default"), EDA_TEST_UNKNOWN=SUBSCRIBER)
    relay = processes.relay()
    place_notes("", "")
    eventually(lambda: Delivery.objects.exclude(error_text="").count() == 2)
    for delivery in Delivery.objects.all():
        assert (delivery.status, delivery.attempts) == (Status.PENDING, 0)
        assert delivery.error_class == "eda_django.UnknownSubscriber"
        assert delivery.error_text == f"no running code knows the subscriber {SUBSCRIBER!r}"
    # It says so when that has been committed.
    old.says(f"no running code knows the subscriber {SUBSCRIBER!r}")

    # The deploy goes on: a new worker takes the place of the old, a new relay lets go at once
    # what older code had put aside.
    old.stop()
    relay.stop()
    processes.worker("default")
    processes.relay()
    eventually(lambda: ordering.settled(2))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}


def test_relay_with_older_code_leaves_events_to_newer_code(processes: Processes) -> None:
    old = processes.spawn(*relay_words(), EDA_TEST_UNKNOWN=f"{SUBSCRIBER},{EVENT}")
    place_notes("")
    old.says(f"no running code knows the event type {EVENT!r}")
    event = eventually(OutboxEvent.objects.exclude(error="").first)
    assert event.error == f"no running code knows the event type {EVENT!r}"
    assert (event.relayed_at, Delivery.objects.count()) == (None, 0)
    old.stop()
    processes.relay()
    processes.worker("default")
    eventually(lambda: ordering.settled(1))
    assert ordering.statuses() == {Status.SUCCEEDED: 1}


def test_old_relay_and_new_worker_beside_new_relay_and_old_worker(processes: Processes) -> None:
    """G10: in the middle of a deploy. Whoever takes what it does not know leaves it untouched."""
    unknown = f"{SUBSCRIBER},{EVENT}"
    old_relay = processes.spawn(*relay_words(), EDA_TEST_UNKNOWN=unknown)
    old_worker = processes.spawn(*worker_words("default"), EDA_TEST_UNKNOWN=SUBSCRIBER)
    place_notes(*[""] * 4)
    old_relay.says("no running code knows the event type")
    if connection.vendor == "sqlite":
        # It has one relay at a time, so the new one takes the old one's place.
        old_relay.stop()
    processes.relay()
    # What comes while both are there goes to either, and waits where it went to the old.
    eventually(lambda: place_notes("") and knows_no_subscriber(old_worker), every=0.2)
    processes.worker("default")
    eventually(lambda: place_notes("") and ordering.count(Status.SUCCEEDED), every=0.2)
    published = OutboxEvent.objects.count()
    eventually(lambda: ordering.count(Status.SUCCEEDED) + waiting() == published)
    assert not Delivery.objects.exclude(attempts__lte=1).exists()
    for process in (old_relay, old_worker):
        if process.is_running:
            process.stop()
    make_due()
    eventually(lambda: ordering.settled(published))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
    assert Effect.objects.count() == published
    assert not Attempt.objects.exists()


def knows_no_subscriber(worker: Process) -> bool:
    return f"no running code knows the subscriber {SUBSCRIBER!r}" in worker.text


def waiting() -> int:
    """Return how many events and deliveries wait for newer code, each with its reason."""
    reason = "no running code knows"
    events = OutboxEvent.objects.filter(relayed_at=None, error__startswith=reason)
    deliveries = Delivery.objects.filter(
        status=Status.PENDING, attempts=0, error_text__startswith=reason
    )
    return events.count() + deliveries.count()


def test_worker_with_older_code_leaves_a_payload_that_it_can_not_read(processes: Processes) -> None:
    """G10: it is of a newer version, and a newer worker goes on where the older one gave up."""
    old = processes.worker("default")
    relay = processes.relay()
    place_notes("")
    eventually(lambda: ordering.settled(1))
    with transaction.atomic():
        newer = publish(Noted("newer"))
        OutboxEvent.objects.filter(event_id=newer.id).update(version=2)
    row = eventually(Delivery.objects.filter(error_class=UNDECODABLE).first)
    assert (row.status, row.attempts) == (Status.PENDING, 0)
    assert row.error_text.startswith(f"no running code knows version 2 of {EVENT!r}")
    old.says("no running code knows version 2")
    old.stop()
    relay.stop()
    processes.spawn(*worker_words("default"), EDA_TEST_NEWER=EVENT)
    processes.spawn(*relay_words(), EDA_TEST_NEWER=EVENT)
    eventually(lambda: ordering.settled(2))
    assert set(Delivery.objects.values_list("status", "attempts")) == {(Status.SUCCEEDED, 1)}
    assert not Attempt.objects.exists()
