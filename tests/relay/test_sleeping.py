"""How long the relay sleeps, and what may wake it."""

import threading

import pytest

from eda_django.relay import FIRST_PAUSE, LONGEST_PAUSE, Relay
from tests.relaying import Recorder


class Sleeper(Recorder):
    """A transport that notes how it is asked to wait, and then stops the relay."""

    relay: Relay

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        super().wait(seconds, using=using, wake=wake)
        self.woken_by = (using, wake)
        self.relay.stop()


@pytest.mark.django_db(databases=["default", "other"])
def test_the_bell_of_its_own_database_or_a_stop_wakes_it() -> None:
    transport = Sleeper()
    relay = transport.relay = Relay(using="other", transport=transport, poll_interval=3.0)
    relay.run()
    assert transport.slept == [3.0]
    assert transport.woken_by == ("other", relay.stopping)


@pytest.mark.django_db
def test_each_pause_of_an_outage_is_up_to_twice_the_one_before() -> None:
    """And at least half of that: the rest is drawn, so that relays do not come back together."""
    transport = Recorder()
    transport.is_down = True
    relay = Relay(transport=transport)
    relay._pause = FIRST_PAUSE
    most = FIRST_PAUSE
    for _ in range(8):
        most = min(2 * most, LONGEST_PAUSE)
        assert most / 2 <= relay.turn() <= most


@pytest.mark.django_db(transaction=True)
def test_a_pause_lasts_as_long_as_the_turn_said(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Recorder()
    transport.is_down = True
    relay = Relay(transport=transport)
    relay._pause = FIRST_PAUSE
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        relay.stop()

    monkeypatch.setattr(relay, "turn", lambda: 7.0)
    monkeypatch.setattr(relay.stopping, "wait", wait)
    relay.run()
    assert waits == [7.0]
