"""Several subscribers of one event: what becomes of one is nothing to the others."""

from collections import Counter
from typing import Any

import pytest

from eda_django import Event, Retry
from eda_django.models import Delivery
from eda_django.relay import Relay
from tests.relaying import Recorder, happen, make_due, on_happened


@pytest.mark.django_db
def test_subscriber_that_fails_is_tried_again_and_the_others_of_its_event_are_not() -> None:
    """G4."""
    calls: Counter[str] = Counter()

    def fail(seen: Event[Any]) -> None:
        calls["t.failing"] += 1
        raise RuntimeError

    def work(seen: Event[Any]) -> None:
        calls["t.working"] += 1

    on_happened(fail, name="t.failing", retry=Retry(max_attempts=3))
    on_happened(work, name="t.working")
    happen()
    transport = Recorder()
    relay = Relay(transport=transport)
    for _ in range(5):
        make_due()
        relay.drain()
        transport.work()
    assert calls == {"t.failing": 3, "t.working": 1}
    rows = Delivery.objects.values_list("subscriber", "status", "attempts")
    assert set(rows) == {("t.failing", "dead", 3), ("t.working", "succeeded", 1)}
