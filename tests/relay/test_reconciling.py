"""Leases that are over: so many at a time, on the relay's own database, all of them counted."""

import pytest

from eda_django.models import Attempt, Delivery
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.recovering import seen_before
from tests.relay.standing_in import nothing
from tests.relaying import Recorder, happen, on_happened

BOTH = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def lapsed(count: int, status: str, *, using: str = "default") -> Recorder:
    """Make deliveries in this state whose leases are over; return who knows where they are."""
    on_happened(nothing, name=f"t.{status}")
    transport = Recorder()
    happen(count, using=using)
    Relay(using=using, transport=transport).poll()
    rows = Delivery.objects.using(using).filter(subscriber=f"t.{status}")
    rows.update(status=status, lease_until=after(-1), attempts=int(status == "running"))
    return transport


@pytest.mark.django_db(transaction=True)
def test_no_more_are_recorded_as_lost_than_a_batch_has() -> None:
    relay = Relay(transport=lapsed(5, "running"), batch_size=2)
    assert [seen_before(relay).reconcile() for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.django_db(transaction=True)
def test_what_was_lost_with_its_worker_and_what_is_slow_are_both_counted() -> None:
    transport = lapsed(3, "queued")
    first = Delivery.objects.earliest("pk")
    Delivery.objects.filter(pk=first.pk).update(status="running", token="0" * 32, attempts=1)
    assert seen_before(Relay(transport=transport)).reconcile() == 3


@pytest.mark.django_db(transaction=True)
def test_what_goes_again_is_counted_once() -> None:
    transport = lapsed(3, "queued")
    transport.lost = {chunk.token for chunk in transport.chunks}
    relay = Relay(transport=transport)
    assert (relay.reconcile(), relay.reconcile()) == (3, 0)


@BOTH
@pytest.mark.parametrize(("status", "attempts"), [("queued", 0), ("running", 2)])
def test_it_is_done_on_the_relays_own_database(status: str, attempts: int) -> None:
    """G12."""
    transport = lapsed(2, status, using="other")
    transport.lost = {chunk.token for chunk in transport.chunks}
    seen_before(Relay(transport=transport)).reconcile()
    rows = Delivery.objects.using("other")
    assert set(rows.values_list("status", flat=True)) == {status}
    seen_before(Relay(using="other", transport=transport)).reconcile()
    assert set(rows.values_list("status", flat=True)) == {"pending"}
    assert Attempt.objects.using("other").count() == attempts
    assert Attempt.objects.count() == 0
