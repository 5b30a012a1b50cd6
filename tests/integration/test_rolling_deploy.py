"""Old code and new code side by side: what the old does not know waits, and is seen to (G10)."""

import pytest

from eda_django.models import Delivery, OutboxEvent, Status
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.processes import Processes, relay_words, worker_words
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
    assert f"no running code knows the subscriber {SUBSCRIBER!r}" in old.text

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
