"""The floor: a fast path past what was claimed, and sweeps that miss nothing."""

import pytest

from eda_django import floor
from eda_django.floor import CHEAP, DEAR, SHARE, SLACK, SWEEP, Floor
from eda_django.models import OutboxEvent, look, outcomes
from eda_django.relay import Relay
from tests.relaying import Recorder, Statements, happen, lapse_leases, make_due, on_happened


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def swept(*seconds: float) -> tuple[Floor, Clock]:
    """Return a floor whose sweeps took so long, with a claim up to id 5,000 after them."""
    clock = Clock()
    made = Floor(clock=clock)
    for took in seconds:
        made.swept(took)
    made.claimed(5_000)
    return made, clock


@pytest.mark.once
def test_a_first_look_is_a_sweep() -> None:
    assert Floor(clock=Clock()).begin() == 0


@pytest.mark.once
def test_sweeps_that_cost_nothing_are_not_spared() -> None:
    made, _ = swept(CHEAP / 2)
    assert (made.begin(), made.until_sweep()) == (0, 0.0)


@pytest.mark.once
def test_after_a_slow_sweep_looks_begin_below_the_last_claim_until_the_next_is_due() -> None:
    made, clock = swept(CHEAP)
    assert made.begin() == 5_000 - SLACK
    clock.now = SWEEP
    assert made.begin() == 0


@pytest.mark.once
def test_sweeps_take_a_twentieth_of_the_time_at_most() -> None:
    made, clock = swept(1.0, 1.0)
    clock.now = SHARE - 0.1
    assert made.begin() > 0
    assert made.until_sweep() == pytest.approx(0.1)
    clock.now = SHARE
    assert (made.begin(), made.until_sweep()) == (0, 0.0)


@pytest.mark.once
def test_sweeps_are_spared_from_the_first_that_is_dear() -> None:
    made, clock = swept(DEAR, DEAR)
    assert made.until_sweep() == pytest.approx(SHARE * DEAR)
    clock.now = SHARE * DEAR + 1
    assert made.until_sweep() == 0.0


@pytest.mark.once
def test_one_slow_sweep_alone_makes_nobody_wait() -> None:
    made, _ = swept(0.0, DEAR)
    assert made.until_sweep() == 0.0


@pytest.mark.once
def test_the_first_ids_need_no_floor() -> None:
    made, _ = swept(CHEAP)
    made.claimed(SLACK)
    assert made.begin() == 0


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    """A relay with a floor at the newest event, on a database whose sweeps take long."""
    monkeypatch.setattr(floor, "SLACK", 0)
    monkeypatch.setattr(floor, "CHEAP", -1.0)
    on_happened(lambda event: None)
    happen(3)
    made = Relay(transport=Recorder(), clock=Clock())
    assert made.poll() == 0.0
    assert made.floor.begin() == OutboxEvent.objects.latest("pk").pk
    return made


@pytest.mark.django_db(transaction=True)
def test_claims_and_looks_with_a_floor_read_nothing_below_it(relay: Relay) -> None:
    happen(2)
    with Statements() as captured:
        assert relay.poll() == 0.0
    looks = [sql for sql in captured.texts if "ORDER BY due_at LIMIT 1" in sql]
    claims = [sql for sql in captured.texts if sql.lstrip().startswith("SELECT e.id")]
    assert [sql for sql in looks if "lease" in sql] == []
    assert ["id >= " in sql for sql in looks + claims] == [True, True]
    assert not OutboxEvent.objects.fresh().exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_found_by_a_sweep(relay: Relay) -> None:
    """G2: below the floor, so that no look from there on sees it."""
    OutboxEvent.objects.filter(pk=OutboxEvent.objects.earliest("pk").pk).update(relayed_at=None)
    floor_now = relay.floor.begin()
    assert not look("default", floor=floor_now).fresh
    # Nothing moved from the floor on: the relay sweeps before it sleeps.
    relay.deliveries.all().delete()
    assert relay.poll() == 0.0
    assert not OutboxEvent.objects.fresh().exists()


@pytest.mark.django_db(transaction=True)
def test_events_whose_time_has_come_are_claimed_below_the_floor(relay: Relay) -> None:
    relay.deliveries.all().delete()
    OutboxEvent.objects.update(relayed_at=None)
    relay.events.put_aside(
        list(OutboxEvent.objects.values_list("pk", flat=True)), error="x", seconds=9
    )
    make_due()
    outlook = look("default", floor=relay.floor.begin())
    assert relay.relay(outlook) == 3


@pytest.mark.django_db(transaction=True)
def test_draining_ends_with_a_sweep(relay: Relay) -> None:
    relay.deliveries.all().delete()
    OutboxEvent.objects.update(relayed_at=None)
    assert relay.drain() == 3


@pytest.mark.django_db(transaction=True)
def test_draining_from_a_floor_ends_with_a_look_at_leases_and_operations_too(relay: Relay) -> None:
    """They are asked for in sweeps only: a look from the first id on is none."""
    transport = relay.transport
    assert isinstance(transport, Recorder)
    lapse_leases()
    transport.lost = {chunk.token for chunk in transport.chunks}
    transport.chunks.clear()
    # Three were asked about, and are pushed again.
    assert relay.drain() == 6
    assert len(transport.ids) == 3
    assert relay.floor.begin() > 0


@pytest.mark.django_db(transaction=True)
def test_a_turn_that_found_nothing_from_its_floor_on_looks_at_leases_before_it_sleeps(
    relay: Relay,
) -> None:
    lapse_leases()
    assert relay.poll() == 0.0
    transport = relay.transport
    assert isinstance(transport, Recorder)
    assert len(transport.asked) == 1


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_is_rung_for_claims_from_its_floor_on_and_nothing_scheduled(
    relay: Relay,
) -> None:
    happen(2)
    with Statements() as captured:
        assert relay.poll(has_rung=True) == 0.0
    assert len([sql for sql in captured.texts if "id >= " in sql]) == 1
    assert [sql for sql in captured.texts if "available_at <= " in sql.replace('"', "")] == []


@pytest.mark.django_db(transaction=True)
def test_an_idle_relay_that_spares_its_sweeps_sleeps_through_nothing_that_is_due(
    relay: Relay,
) -> None:
    """What is due is asked for by looks with a floor, too."""
    relay.floor.swept(2.0)
    relay.floor.swept(2.0)
    assert relay.floor.until_sweep() > relay.poll_interval
    relay.deliveries.all().update(**outcomes.pending(1.5))
    assert 1.0 < relay.poll() <= 1.5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("interval", "seconds"), [(600.0, SHARE * 2.0), (3.0, 3.0)])
def test_an_idle_relay_waits_for_its_next_sweep_and_no_longer_than_it_polls(
    relay: Relay, interval: float, seconds: float
) -> None:
    relay.poll_interval = interval
    # Twice: one sweep may have been slow for another reason.
    relay.floor.swept(2.0)
    relay.floor.swept(2.0)
    assert relay.poll() == pytest.approx(seconds)
