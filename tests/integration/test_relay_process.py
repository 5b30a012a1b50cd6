"""The relay as a process: signals, its heartbeat, its database lost, and several of them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connection

from eda_django.dispatch import bell
from eda_django.doorbell import Doorbell
from eda_django.models import Delivery, RelayHeartbeat, Status
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.processes import Process, Processes
from tests.integration.servers import closed_port
from tests.relaying import end_other_connections
from tests.testapp.models import Effect
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.processes


def started(relay: Process) -> Process:
    relay.says("relay started")
    return relay


def inline(processes: Processes) -> Process:
    """Start a relay that needs no worker, and finds no Redis."""
    return started(processes.relay("--inline", redis_port=closed_port()))


def test_heartbeat_comes_and_goes_with_the_relay(processes: Processes) -> None:
    relay = started(processes.relay())
    relay.says("Relaying the outbox of 'default'. Ctrl-C ends it.")
    heartbeat = eventually(RelayHeartbeat.objects.first)
    assert heartbeat.pid == relay.pid
    assert list(RelayHeartbeat.objects.alive(60)) == [heartbeat]
    assert relay.stop() == 0
    assert "relay stopped" in relay.text
    assert not RelayHeartbeat.objects.exists()


def queued(deliveries: int) -> bool:
    return ordering.count(Status.QUEUED) == deliveries


def test_commit_wakes_a_relay_that_sleeps(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doorbell: without it the relay would look again in ten minutes."""
    # After a ring that took too long it would not try for a while.
    monkeypatch.setattr(bell, "BELL_TIMEOUT", PATIENCE)
    monkeypatch.setattr(bell, "doorbell", Doorbell(bell._Bell().ring))
    started(processes.run("relay", "--poll-interval=600"))
    for number in (1, 2):
        place_notes("")
        eventually(partial(queued, number))


def test_inline_relay_needs_no_redis(processes: Processes) -> None:
    relay = inline(processes)
    place_notes("", "fail:1", "discard:not wanted")
    eventually(lambda: ordering.settled(3))
    assert ordering.statuses() == {Status.SUCCEEDED: 2, Status.DISCARDED: 1}
    assert "lost its transport" not in relay.text
    assert relay.stop() == 0


def test_first_sigterm_finishes_what_runs_and_releases_the_rest(processes: Processes) -> None:
    """Nothing is left claimed, and what did not start has lost no attempt."""
    place_notes(*["sleep:1"] * 8)
    relay = inline(processes)
    eventually(lambda: "running" in ordering.statuses())
    assert relay.stop() == 0
    found = ordering.statuses()
    assert set(found) == {Status.SUCCEEDED, Status.PENDING}
    assert found.total() == 8
    assert Effect.objects.count() == found[Status.SUCCEEDED]
    pending = Delivery.objects.filter(status=Status.PENDING)
    assert set(pending.values_list("attempts", "token")) == {(0, None)}


def test_second_sigterm_ends_it_at_once(processes: Processes) -> None:
    place_notes("sleep:600")
    relay = inline(processes)
    eventually(lambda: ordering.count(Status.RUNNING) == 1)
    relay.signal(signal.SIGTERM)
    # Or else the two could be one to Python.
    relay.says("a second signal stops it at once")
    relay.signal(signal.SIGTERM)
    assert relay.ends() == 1
    assert "Stopped by force" in relay.text
    (delivery,) = Delivery.objects.all()
    assert (delivery.status, delivery.error_class) == (Status.PENDING, "KeyboardInterrupt")
    assert not Effect.objects.exists()


def test_second_relay_is_welcome_or_says_why_not(processes: Processes) -> None:
    """G12."""
    first = started(processes.relay())
    second = processes.relay()
    if connection.vendor == "sqlite":
        assert second.ends() == 1
        assert "A relay for database 'default' runs already." in second.text
        assert "Traceback" not in second.text
        assert first.is_running
        assert first.stop() == 0
        second = processes.relay()
    else:
        eventually(lambda: RelayHeartbeat.objects.count() == 2)
    started(second)


def test_relay_outlives_the_loss_of_its_database(processes: Processes) -> None:
    """G2: with one clear line when it goes, and one when it is back."""
    relay = started(processes.relay())
    eventually(RelayHeartbeat.objects.exists)
    with outage():
        relay.says("OperationalError: ")
    relay.says("relay works again")
    place_notes("")
    eventually(lambda: ordering.count(Status.QUEUED) == Delivery.objects.count() > 0)
    # Where Django has connected anew by itself, nobody is called lost.
    trouble = ("relay has lost its database, ", "relay turn was undone by the database, ")
    assert sum(relay.text.count(words) for words in trouble) == 1
    assert "Traceback" not in relay.text
    assert relay.stop() == 0


@contextmanager
def outage() -> Iterator[None]:
    """Cut the relay off; on SQLite, which has no connection to cut, hide a table from it."""
    if connection.vendor != "sqlite":
        end_other_connections()
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE eda_django_relayheartbeat RENAME TO hidden")
        try:
            place_notes("")
            yield
        finally:
            cursor.execute("ALTER TABLE hidden RENAME TO eda_django_relayheartbeat")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_outbox_of_another_database_has_a_relay_of_its_own(processes: Processes) -> None:
    """G12: each drains its own, and workers know where their deliveries are."""
    place_notes("", "")
    place_notes("", "fail:1", "", using="other")
    started(processes.relay("--database=other"))
    processes.worker("default")
    eventually(lambda: ordering.settled(3, using="other"))
    assert ordering.statuses(using="other") == {Status.SUCCEEDED: 3}
    assert ordering.statuses() == {}
    started(processes.relay())
    eventually(lambda: ordering.settled(2))
    assert ordering.statuses() == {Status.SUCCEEDED: 2}
