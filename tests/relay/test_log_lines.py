"""What the relay says in the log: each line is what an operator searches for, in full."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.models.selection import Selection
from eda_django.outage import FIRST_PAUSE
from eda_django.relay import Relay
from tests.relay.standing_in import failing, nothing
from tests.relaying import Recorder, happen, lapse_leases, on_happened, relayed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that takes the lines that were logged since it was called last."""
    caplog.set_level(logging.INFO, "eda_django")

    def take() -> list[str]:
        found = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
        caplog.clear()
        return found

    return take


def test_start_and_stop(lines: Any) -> None:
    relay = Relay(transport=Recorder())
    relay.stop()
    relay.run()
    assert lines() == [
        f"INFO relay started name={relay.name} database=default",
        f"INFO relay stopped name={relay.name} database=default",
    ]


def test_a_transport_that_is_away_and_back(lines: Any) -> None:
    transport = Recorder()
    relay = Relay(transport=transport)
    on_happened(nothing)
    happen()
    transport.is_down = True
    relay.turn()
    relay.turn()
    assert lines() == [
        "ERROR relay has lost its transport, it tries again until it is back"
        " error=TransportUnavailable: nothing answers"
    ]
    transport.is_down = False
    relay.turn()
    relay.turn()
    assert lines() == [f"INFO relay works again name={relay.name}"]
    happen()
    transport.is_down = True
    assert relay.turn() <= FIRST_PAUSE
    assert len(lines()) == 1


@pytest.mark.parametrize(
    ("text", "shown"), [("\n deadlock\nand more\n", "deadlock"), ("", "OperationalError")]
)
def test_a_turn_that_the_database_undid(text: str, shown: str, lines: Any) -> None:
    with connection.execute_wrapper(failing("SELECT", OperationalError(text))):
        Relay(transport=Recorder()).turn()
    assert lines() == [
        "ERROR relay turn was undone by the database, it is tried again"
        f" error=OperationalError: {shown}"
    ]


def test_a_database_that_is_away(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(parameters: Any) -> Any:
        raise OperationalError("connection refused")

    relay = Relay(transport=Recorder())
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "get_new_connection", refuse)
        relay.turn()
    assert lines() == [
        "ERROR relay has lost its database, it tries again until it is back"
        " error=OperationalError: connection refused"
    ]


def test_a_bug(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = Relay(transport=Recorder())
    monkeypatch.setattr(relay, "poll", lambda: 1 / 0)
    relay.turn()
    assert lines() == [f"ERROR relay turn failed name={relay.name}"]


def test_a_relay_that_can_not_sign_off(lines: Any) -> None:
    relay = Relay(transport=Recorder())
    relay.stop()
    with connection.execute_wrapper(failing("DELETE FROM", OperationalError("gone"))):
        relay.run()
    assert lines()[1:-1] == ["WARNING relay could not sign off: gone"]


@pytest.mark.parametrize("kind", [DataError, IntegrityError])
@pytest.mark.parametrize(
    ("text", "shown"), [("\n it is no good\nFailing row: …", "it is no good"), ("", "")]
)
def test_an_event_whose_deliveries_the_database_refuses(
    kind: type[Exception], text: str, shown: str, lines: Any
) -> None:
    """G9: the second line of PostgreSQL's words would show the row."""
    on_happened(nothing)
    happen()
    with connection.execute_wrapper(failing("INSERT INTO eda_django_delivery", kind(text))):
        Relay(transport=Recorder()).fan_out()
    event = OutboxEvent.objects.get()
    assert event.error == f"the database refuses its deliveries: {shown or kind.__name__}"
    assert lines() == [
        f"ERROR event was set aside id={event.pk} type=t.happened: {event.error}",
    ]


def test_events_of_a_type_that_no_code_knows(lines: Any) -> None:
    happen(2)
    Relay(transport=Recorder()).fan_out()
    assert lines() == [
        "WARNING events wait: no running code knows the event type 't.happened'; declare it with"
        " @event or subscribe to it by name events=2"
    ]


def test_deliveries_that_were_lost_on_the_way(lines: Any) -> None:
    on_happened(nothing)
    transport = relayed(2)
    transport.lost = {chunk.token for chunk in transport.chunks}
    lapse_leases()
    Relay(transport=transport).reconcile()
    assert lines() == ["INFO deliveries were lost on the way and go again count=2"]


def test_what_was_pruned(lines: Any) -> None:
    on_happened(nothing)
    relayed(2).work()
    lines()
    OutboxEvent.objects.update(relayed_at=after(-1e7), time=timezone.now() - timedelta(days=100))
    relay = Relay(transport=Recorder())
    relay.prune()
    relay.prune()
    assert lines() == ["INFO pruned events=2 database=default"]


def test_a_bulk_operation_that_is_done(lines: Any) -> None:
    on_happened(nothing)
    relayed(3)
    Delivery.objects.update(status="dead", lease_until=None)
    selection = Selection(status="dead")
    BulkOperation.objects.begin("retry", selection, operator="ada", reason="")
    relay = Relay(transport=Recorder(), batch_size=2)
    assert relay.operate() == 1
    assert lines() == []
    assert (relay.operate(), relay.operate()) == (1, 0)
    number = BulkOperation.objects.get().pk
    assert lines() == [f"INFO bulk operation is done id={number} database=default"]
