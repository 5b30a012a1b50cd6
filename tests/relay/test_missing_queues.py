"""G10: what waits in a queue that a relay's settings lack is newer code's, or was moved by it."""

from typing import Any

import pytest

from eda_django.models import Delivery
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import (
    Recorder,
    Statements,
    happen,
    lapse_leases,
    on_happened,
    relayed,
    statuses,
)

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(*missing: str, count: int = 1) -> Recorder:
    """Leave claims in the queue "new" whose leases are over, to a relay that lacks these queues.

    It knows no subscriber, and the claims are lost as far as it can see.
    """
    on_happened(nothing, queue="new")
    transport = relayed(count)
    lapse_leases()
    transport.lost.update(chunk.token for chunk in transport.chunks)
    transport.missing.update(missing)
    registry.remove("t.sub")
    transport.chunks.clear()
    return transport


def test_an_older_relay_leaves_what_waits_there_for_newer_code() -> None:
    """G7: or it would be pushed again after each lease, and a long queue never reach its end."""
    transport = waiting("new")
    before = Delivery.objects.values().get()
    relay = Relay(transport=transport)
    assert relay.turn() == 0.0
    assert relay.turn() > 0
    assert transport.asked
    assert Delivery.objects.values().get() == before


def test_to_leave_more_there_takes_no_more_statements() -> None:
    counts = []
    for count in (1, 10):
        relay = Relay(transport=waiting("new", count=count))
        with Statements() as captured:
            relay.reconcile()
        counts.append(len(captured.texts))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("queue", ["other", None])
def test_newer_code_takes_back_what_waits_where_its_subscriber_was(queue: str | None) -> None:
    transport = waiting("new")
    on_happened(nothing, queue=queue)
    Relay(transport=transport).drain()
    assert [chunk.queue for chunk in transport.chunks] == [queue or "default"]


@pytest.mark.parametrize("queue", ["new", None])
def test_a_relay_that_lacks_the_queue_of_a_subscriber_leaves_it_to_others(
    settings: Any, queue: str | None
) -> None:
    """To take it back would be for nothing: it could only be put aside."""
    settings.EDA_DJANGO = {"QUEUE": "new"}
    transport = waiting("new")
    on_happened(nothing, queue=queue)
    Relay(transport=transport).turn()
    assert statuses() == ["queued"]


def test_what_is_lost_from_a_queue_that_is_there_goes_again_whoever_knows_it() -> None:
    """G2."""
    transport = waiting()
    Relay(transport=transport).drain()
    assert [chunk.queue for chunk in transport.chunks] == ["new"]


def test_what_nobody_knows_waits_until_its_queue_is_there_again() -> None:
    transport = waiting("new")
    Relay(transport=transport).turn()
    assert statuses() == ["queued"]
    transport.missing.clear()
    Relay(transport=transport).drain()
    assert [chunk.queue for chunk in transport.chunks] == ["new"]


def test_a_relay_asks_its_settings(redis_client: Any, settings: Any) -> None:
    on_happened(nothing, queue="slow")
    happen()
    Relay().turn()
    lapse_leases()
    queues = dict(settings.RQ_QUEUES)
    settings.RQ_QUEUES = {name: queues[name] for name in queues if name != "slow"}
    registry.remove("t.sub")
    Relay().turn()
    assert statuses() == ["queued"]
    on_happened(nothing, queue="fast")
    Relay().turn()
    assert statuses() == ["pending"]
