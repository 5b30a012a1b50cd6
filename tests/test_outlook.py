"""The relay's one look at what there is to do, and how long it may sleep."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from eda_django.models import Delivery, Outlook, look
from eda_django.models.clock import after
from tests.relaying import happen, lapse_leases, make_due, on_happened, relayed


def outlook(**known: float | bool | None) -> Outlook:
    nothing = {"fresh": False, "scheduled_in": None, "due_in": None, "lapse_in": None}
    return Outlook(**{**nothing, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sight", "seconds"),
    [
        (outlook(), 5.0),
        (outlook(due_in=2.0), 2.0),
        (outlook(scheduled_in=3.0, due_in=4.0), 3.0),
        (outlook(lapse_in=1.5), 1.5),
        (outlook(due_in=100.0, lapse_in=100.0, scheduled_in=100.0), 5.0),
        # What is due and did not move is in other hands: no busy loop.
        (outlook(fresh=True), 0.1),
        (outlook(due_in=-10.0), 0.1),
        (outlook(scheduled_in=0.0), 0.1),
        (outlook(due_in=0.001), 0.001),
        (outlook(lapse_in=-10.0), 1.0),
        (outlook(lapse_in=0.0, fresh=True), 0.1),
        # Another relay's, or one that only newer code knows.
        (outlook(must_operate=True), 1.0),
    ],
)
def test_sleep_lasts_until_something_is_due_and_never_nothing(
    sight: Outlook, seconds: float
) -> None:
    assert sight.next_in(5.0, contended=0.1, slow=1.0) == seconds


@pytest.mark.django_db
def test_look_at_an_empty_outbox_sees_nothing() -> None:
    assert look("default") == outlook()


@pytest.mark.django_db
def test_look_is_one_statement() -> None:
    with CaptureQueriesContext(connection) as captured:
        look("default")
    assert len(captured) == 1


@pytest.mark.django_db
def test_look_sees_a_new_event() -> None:
    happen()
    sight = look("default")
    assert sight.must_fan_out
    assert not sight.must_push
    assert not sight.must_reconcile


@pytest.mark.django_db
def test_look_sees_leases_and_when_they_end() -> None:
    on_happened(lambda event: None)
    relayed()
    sight = look("default")
    assert sight.lapse_in is not None
    assert 20 < sight.lapse_in <= 30
    assert not sight.must_reconcile
    lapse_leases()
    assert look("default").must_reconcile


@pytest.mark.django_db
def test_look_sees_the_lease_of_what_runs() -> None:
    on_happened(lambda event: None)
    chunk = relayed().chunks[0]
    Delivery.objects.start(chunk.delivery_ids[0], token=chunk.token, lease=300.0)
    sight = look("default")
    assert sight.lapse_in is not None
    assert 290 < sight.lapse_in <= 300


@pytest.mark.django_db
def test_look_sees_what_is_due_and_what_will_be() -> None:
    on_happened(lambda event: None)
    chunk = relayed().chunks[0]
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    assert look("default").must_push
    Delivery.objects.update(due_at=after(60))
    sight = look("default")
    assert not sight.must_push
    assert sight.due_in is not None
    assert 50 < sight.due_in <= 60


@pytest.mark.django_db
def test_look_sees_events_that_were_set_aside() -> None:
    happen()
    relayed()
    sight = look("default")
    assert not sight.must_fan_out
    assert sight.scheduled_in is not None
    assert 50 < sight.scheduled_in <= 60
    make_due()
    assert look("default").must_fan_out


@pytest.mark.django_db
def test_look_does_not_see_what_is_finished() -> None:
    on_happened(lambda event: None)
    relayed().work()
    assert look("default") == outlook()
