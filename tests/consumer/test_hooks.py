"""What a subscriber leaves to on_commit runs after its commit, and costs nobody else anything."""

from typing import Any

import pytest
from django.db import transaction

from eda_django import Event, Retry, publish
from eda_django.models import Attempt, Delivery
from eda_django.relay import Relay
from tests.consumer.running import one_chunk, run
from tests.recovering import seen_before
from tests.relaying import Recorder, Statements, in_threads, lapse_leases, statuses, write


def _nothing() -> None:
    pass


@pytest.mark.django_db(transaction=True)
def test_hook_that_takes_longer_than_a_lease_costs_the_next_delivery_no_attempt() -> None:
    """G4: the lock is gone with the commit; what is started before would seem to be lost."""
    relay, ran = Relay(transport=Recorder()), list[int]()

    def reconcile() -> None:
        lapse_leases()
        seen_before(relay).reconcile()

    def subscriber(seen: Event[Any]) -> None:
        ran.append(seen.data["number"])
        if len(ran) == 1:
            transaction.on_commit(lambda: in_threads(reconcile) and None)

    chunk = one_chunk(3, subscriber, retry=Retry(max_attempts=1))
    run(chunk)
    assert not Attempt.objects.exists()
    # What the relay took back meanwhile has lost nothing, and runs in another job.
    burned = dict(Delivery.objects.values_list("status", "attempts"))
    assert burned.items() <= {("succeeded", 1), ("queued", 0), ("pending", 0)}
    assert len(ran) == statuses().count("succeeded")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 10])
def test_hook_costs_a_statement_more(count: int) -> None:
    """The next is started by a statement of its own, after the hook."""

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        transaction.on_commit(_nothing)

    chunk = one_chunk(count, subscriber)
    with Statements() as captured:
        assert run(chunk) == count
    assert len(captured.texts) == 1 + 4 * count


@pytest.mark.django_db(transaction=True)
def test_ring_of_the_doorbell_costs_no_statement_more() -> None:
    """It is a hook of the library's own, and takes no time."""
    chunk = one_chunk(10, lambda seen: publish("t.followed", {}))
    with Statements() as captured:
        assert run(chunk) == 10
    assert len(captured.texts) == 2 + 3 * 10


@pytest.mark.django_db(transaction=True)
def test_hook_beside_a_ring_is_waited_for() -> None:
    seen_in_hook: list[list[str]] = []

    def subscriber(seen: Event[Any]) -> None:
        publish("t.followed", {})
        transaction.on_commit(lambda: seen_in_hook.append(statuses()))

    assert run(one_chunk(2, subscriber)) == 2
    assert seen_in_hook == [["succeeded", "queued"], ["succeeded", "succeeded"]]
