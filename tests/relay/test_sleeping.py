"""How long the relay sleeps, and what may wake it."""

import threading

import pytest

from eda_django.outage import FIRST_PAUSE, LONGEST_PAUSE
from eda_django.relay import LONGER, SLOW, Relay
from tests.relay.standing_in import Clock
from tests.relaying import Recorder, Statements, happen, lapse_leases, on_happened, write


class Sleeper(Recorder):
    """A transport that notes how it is asked to wait, and then stops the relay."""

    relay: Relay

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        self.woken_by = (using, wake)
        self.relay.stop()
        return super().wait(seconds, using=using, wake=wake)


@pytest.mark.django_db(databases=["default", "other"])
def test_the_bell_of_its_own_database_or_a_stop_wakes_it() -> None:
    transport = Sleeper()
    relay = transport.relay = Relay(using="other", transport=transport, poll_interval=3.0)
    relay.run()
    assert transport.slept == [3.0]
    assert transport.woken_by == ("other", relay.stopping)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_down", [False, True])
def test_no_transaction_is_open_while_the_relay_sleeps(
    monkeypatch: pytest.MonkeyPatch, is_down: bool
) -> None:
    """G8: neither between two turns nor in the pauses of an outage."""
    on_happened(write)
    happen(3)
    transport = Sleeper()
    transport.is_down = is_down
    relay = transport.relay = Relay(transport=transport, poll_interval=3.0)

    def pause(seconds: float) -> None:
        transport._note("wait")
        relay.stop()

    monkeypatch.setattr(relay.stopping, "wait", pause)
    relay.run()
    waits = [is_inside for what, is_inside in transport.calls if what == "wait"]
    assert waits
    assert not any(waits)


@pytest.mark.django_db
def test_each_pause_of_an_outage_is_up_to_twice_the_one_before() -> None:
    """And at least half of that: the rest is drawn, so that relays do not come back together."""
    transport = Recorder()
    transport.is_down = True
    relay = Relay(transport=transport)
    relay.outage.pause = FIRST_PAUSE
    most = FIRST_PAUSE
    for _ in range(8):
        most = min(2 * most, LONGEST_PAUSE)
        assert most / 2 <= relay.turn() <= most


@pytest.mark.django_db(transaction=True)
def test_a_pause_lasts_as_long_as_the_turn_said(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Recorder()
    transport.is_down = True
    relay = Relay(transport=transport)
    relay.outage.pause = FIRST_PAUSE
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        relay.stop()

    monkeypatch.setattr(relay, "turn", lambda **_: 7.0)
    monkeypatch.setattr(relay.stopping, "wait", wait)
    relay.run()
    assert waits == [7.0]


# What only a look asks for.
LOOK = "ORDER BY due_at LIMIT 1"


class Ringing(Recorder):
    """A transport whose bell rings while the relay waits: first with an event, then to stop it."""

    relay: Relay

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[list[str]] = []
        self.statements = Statements()

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        super().wait(seconds, using=using, wake=wake)
        if self.slept[1:]:
            self.statements.__exit__(None, None, None)
            self.turns.append(self.statements.texts)
        if len(self.slept) == 3:
            self.relay.stop()
        elif len(self.slept) == 1:
            happen()
        self.statements.__enter__()
        return len(self.slept) == 1


@pytest.mark.django_db
def test_a_relay_that_is_rung_for_claims_without_a_look_and_looks_after_it() -> None:
    """The look would tell what the ring has told. Retries and leases wait for one turn at most."""
    on_happened(write)
    transport = Ringing()
    # A clock that stands still: to a slow machine looks would be dear, and take two statements.
    relay = transport.relay = Relay(transport=transport, poll_interval=3.0, clock=Clock())
    relay.run()
    assert transport.slept == [3.0, 0.0, 3.0]
    assert len(transport.ids) == 1
    claiming, looking = transport.turns
    assert [sql for sql in claiming if LOOK in sql] == []
    assert len([sql for sql in looking if LOOK in sql]) == 1


@pytest.mark.django_db
def test_a_ring_for_what_is_no_event_leads_to_a_look() -> None:
    """What a worker gave back is no event, and goes out in the same turn."""
    on_happened(write)
    transport = Recorder()
    relay = Relay(transport=transport)
    happen()
    relay.drain()
    (chunk,) = transport.chunks
    transport.chunks.clear()
    relay.deliveries.release(chunk.token, chunk.delivery_ids)
    assert relay.poll(has_rung=True) == 0.0
    assert transport.ids == list(chunk.delivery_ids)


class Passing(Relay):
    """A relay that finds every lapsed lease in other hands."""

    asked = 0

    def reconcile(self) -> int:
        self.asked += 1
        return 0


@pytest.mark.django_db
def test_a_relay_that_can_do_nothing_about_a_lapsed_lease_looks_again_after_a_second() -> None:
    on_happened(write)
    transport = Recorder()
    clock = Clock()
    relay = Passing(transport=transport, poll_interval=9.0, clock=clock)
    happen()
    relay.drain()
    lapse_leases()
    assert relay.poll() == relay.slow
    # However often it looks meanwhile.
    relay.poll()
    assert relay.asked == 1
    clock.now += relay.slow
    relay.poll()
    assert relay.asked == 2


@pytest.mark.django_db
def test_the_bell_is_heard_by_the_turn_that_follows_and_by_no_other() -> None:
    heard: list[bool] = []

    class Listening(Relay):
        def turn(self, *, has_rung: bool = False) -> float:
            heard.append(has_rung)
            if len(heard) == 3:
                self.stop()
            return 0.0

    class Once(Recorder):
        def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
            return len(heard) == 1

    Listening(transport=Once()).run()
    assert heard == [False, True, False]


def test_relays_do_not_look_in_step() -> None:
    """Two that do would each find locked what the other looks at, and take no worker for lost."""
    times = {Relay(transport=Recorder()).slow for _ in range(5)}
    assert len(times) == 5
    assert all(SLOW <= seconds <= SLOW * LONGER for seconds in times)
