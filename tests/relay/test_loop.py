"""The relay's loop: one turn after another, whatever is away."""

import logging
import os
import socket
import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from eda_django.chunks import Chunk
from eda_django.models import BulkOperation, Delivery, OutboxEvent, RelayHeartbeat, look
from eda_django.models.clock import after
from eda_django.models.selection import Selection
from eda_django.outage import LONGEST_PAUSE
from eda_django.relay import Relay
from eda_django.version import __version__
from tests.relay.standing_in import Clock, failing, nothing
from tests.relaying import (
    Recorder,
    cut_connection,
    happen,
    on_happened,
    only_delivery,
    relayed,
    seconds_until,
    statuses,
    write,
)


class Stopping(Recorder):
    """A transport that, asked to wait, stops the relay."""

    relay: Relay

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        self.relay.stop()
        return super().wait(seconds, using=using, wake=wake)


class Broken(Recorder):
    """A transport with a bug in it."""

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        raise LookupError("a bug")


@pytest.mark.django_db
def test_run_relays_until_it_is_stopped_and_signs_off(caplog: pytest.LogCaptureFixture) -> None:
    on_happened(nothing)
    happen(3)
    transport = Stopping()
    transport.relay = Relay(transport=transport)
    with caplog.at_level(logging.INFO, "eda_django"):
        transport.relay.run()
    assert len(transport.ids) == 3
    assert transport.slept == [0.0]
    assert not RelayHeartbeat.objects.exists()
    assert "relay started" in caplog.text
    assert "relay stopped" in caplog.text


@pytest.mark.django_db
def test_relay_that_can_not_sign_off_still_stops(caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(transport=Recorder())
    relay.stop()
    with connection.execute_wrapper(failing("DELETE FROM", OperationalError("gone"))):
        relay.run()
    assert "relay could not sign off: gone" in caplog.text


@pytest.mark.django_db
def test_relay_beats_and_says_who_it_is() -> None:
    clock = Clock()
    relay = Relay(transport=Recorder(), clock=clock)
    relay.turn()
    first = RelayHeartbeat.objects.get()
    assert first.name == relay.name
    assert relay.name.startswith(f"{first.hostname}:{first.pid}:")
    assert (first.hostname, first.pid) == (socket.gethostname(), os.getpid())
    assert first.version == __version__
    RelayHeartbeat.objects.update(beat_at=after(-30))
    relay.turn()
    assert seconds_until(RelayHeartbeat.objects.get().beat_at) < -20
    clock.now += 10
    relay.turn()
    assert seconds_until(RelayHeartbeat.objects.get().beat_at) > -20


@pytest.mark.django_db
def test_relay_beats_while_the_transport_is_away() -> None:
    """It lives, and an operator who looks must see that."""
    clock, transport = Clock(), Recorder()
    relay = Relay(transport=transport, clock=clock)
    transport.is_down = True
    on_happened(nothing)
    happen()
    relay.turn()
    RelayHeartbeat.objects.update(beat_at=after(-30))
    clock.now += 10
    relay.turn()
    assert seconds_until(RelayHeartbeat.objects.get().beat_at) > -20


@pytest.mark.django_db
def test_outage_of_the_transport_is_one_line_and_mends_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G2: with a growing pause, until it is back."""
    transport = Recorder()
    relay = Relay(transport=transport)
    on_happened(nothing)
    happen(2)
    transport.is_down = True
    with caplog.at_level(logging.INFO, "eda_django"):
        pauses = [relay.turn() for _ in range(12)]
        transport.is_down = False
        assert relay.turn() == 0.0
    assert 0.25 <= pauses[0] <= 0.5
    assert LONGEST_PAUSE / 2 <= pauses[-1] <= LONGEST_PAUSE
    assert caplog.text.count("relay has lost its transport") == 1
    assert "error=TransportUnavailable: nothing answers" in caplog.text
    assert caplog.text.count("relay works again") == 1
    assert len(transport.ids) == 2


@pytest.mark.django_db
def test_outage_of_the_transport_burns_no_attempt_however_long_it_is() -> None:
    """G2: elsewhere minutes of it used up all of them, and everything was marked as failed."""
    transport = Recorder()
    relay = Relay(transport=transport)
    on_happened(write)
    happen(2)
    transport.is_down = True
    for _ in range(100):
        relay.turn()
    rows = Delivery.objects.values_list("status", "attempts")
    assert list(rows) == [("pending", 0)] * 2
    transport.is_down = False
    relay.turn()
    assert transport.work() == 2
    assert statuses() == ["succeeded"] * 2


@pytest.mark.django_db
def test_nothing_is_claimed_while_the_transport_is_away() -> None:
    transport = Recorder()
    relay = Relay(transport=transport)
    on_happened(nothing)
    happen()
    transport.is_down = True
    relay.turn()
    happen()
    relay.turn()
    assert OutboxEvent.objects.filter(relayed_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_database_that_undoes_a_turn_is_not_called_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A deadlock, or a lock that was waited for too long."""
    on_happened(nothing)
    happen()
    relay = Relay(transport=Recorder())
    with connection.execute_wrapper(failing("INSERT INTO", OperationalError("deadlock"))):
        assert 0.25 <= relay.turn() <= 0.5
    assert "relay turn was undone by the database, it is tried again" in caplog.text
    assert "error=OperationalError: deadlock" in caplog.text
    assert relay.turn() == 0.0
    assert only_delivery().status == "queued"


@pytest.mark.django_db(transaction=True)
def test_relay_survives_a_database_that_cuts_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G2: as in a failover; the next turn opens another."""
    on_happened(nothing)
    happen()
    relay = Relay(transport=Recorder())
    cut_connection()
    if connection.vendor != "sqlite":
        assert 0.25 <= relay.turn() <= 0.5
        assert "relay has lost its database, it tries again until it is back" in caplog.text
    assert relay.turn() == 0.0
    assert only_delivery().status == "queued"


@pytest.mark.django_db(transaction=True)
def test_relay_survives_a_database_that_can_not_be_reached(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G2: with one line in the log, however often it tries."""

    def refuse(parameters: Any) -> Any:
        raise OperationalError("connection refused")

    on_happened(nothing)
    happen()
    relay = Relay(transport=Recorder())
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "get_new_connection", refuse)
        assert [relay.turn() > 0 for _ in range(3)] == [True] * 3
    assert caplog.text.count("relay has lost its database") == 1
    assert "error=OperationalError: connection refused" in caplog.text
    assert relay.turn() == 0.0


@pytest.mark.django_db
def test_bug_in_a_turn_is_logged_with_its_traceback_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    on_happened(nothing)
    happen()
    assert 0.25 <= Relay(transport=Broken()).turn() <= 0.5
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert record.getMessage().startswith("relay turn failed")
    assert record.exc_info is not None


@pytest.mark.django_db
def test_drain_counts_all_that_it_moves() -> None:
    """What is new and what is due again, what was lost, and each batch of an operation."""
    on_happened(nothing)
    due, lost, dead = relayed(3).ids
    rows = Delivery.objects.all()
    rows.filter(pk=due).update(status="pending", due_at=after(0), lease_until=None, token=None)
    rows.filter(pk=lost).update(status="running", lease_until=after(-1), attempts=1)
    rows.filter(pk=dead).update(status="dead", lease_until=None, finished_at=after(0))
    BulkOperation.objects.begin("retry", Selection(status="dead"), operator="ada", reason="")
    happen()
    # Each of the four, and what the operation lets go again.
    assert Relay(transport=Recorder()).drain() == 5


@pytest.mark.django_db
def test_stopped_relay_does_not_drain() -> None:
    on_happened(nothing)
    happen()
    relay = Relay(transport=Recorder())
    relay.stop()
    assert relay.drain() == 0
    assert look("default").fresh


@pytest.mark.django_db(transaction=True)
def test_doorbell_does_not_cut_a_back_off_short(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Recorder()
    transport.is_down = True
    on_happened(nothing)
    happen()
    relay = Relay(transport=transport)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        relay.stop()
        return True

    monkeypatch.setattr(relay.stopping, "wait", wait)
    relay.run()
    assert len(waits) == 1
    assert transport.slept == []
