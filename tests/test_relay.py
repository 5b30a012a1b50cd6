"""The relay: one turn after another, whatever is away."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.utils import timezone

from eda_django import Event, publish, subscribes
from eda_django.chunks import Chunk
from eda_django.dispatch import RqTransport
from eda_django.exceptions import TransportUnavailable
from eda_django.inline import InlineTransport
from eda_django.models import Delivery, OutboxEvent, RelayHeartbeat, look
from eda_django.models.clock import after
from eda_django.pushing import UNPUSHABLE
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relaying import (
    HAPPENED,
    Recorder,
    Statements,
    cut_connection,
    happen,
    in_threads,
    lapse_leases,
    make_due,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    seconds_until,
    statuses,
)
from tests.testapp.models import Effect


def nothing(seen: Event[Any]) -> None:
    return


class Clock:
    """A clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stopping(Recorder):
    """A transport that, asked to wait, stops the relay."""

    relay: Relay

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> None:
        super().wait(seconds, using=using, wake=wake)
        self.relay.stop()


class Broken(Recorder):
    """A transport with a bug in it."""

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        raise LookupError("a bug")


def failing(beginning: str, error: Exception) -> Callable[..., Any]:
    """Return an execute wrapper that answers statements with this in them with an error."""

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if beginning in sql:
            raise error
        return execute(sql, params, many, context)

    return wrapper


# Fanning out


@pytest.mark.django_db
def test_every_subscription_that_matches_gets_one_delivery() -> None:
    """G2."""
    on_happened(nothing, name="t.one", queue="fast")
    on_happened(nothing, name="t.two")
    subscribes("t.*", name="t.pattern")(nothing)
    subscribes("u.*", name="t.unconcerned")(nothing)
    transport = relayed(2, transport=None)
    rows = Delivery.objects.values_list("subscriber", "queue", "status")
    assert Counter(rows) == {
        ("t.one", "fast", "queued"): 2,
        ("t.two", "default", "queued"): 2,
        ("t.pattern", "default", "queued"): 2,
    }
    assert sorted(transport.ids) == sorted(Delivery.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_pushed_chunk_holds_what_the_rows_say() -> None:
    """The claim in the job is the claim in the row: it is the fence of all that follows."""
    on_happened(nothing, queue="fast")
    (chunk,) = relayed().chunks
    row = only_delivery()
    assert (chunk.token, chunk.queue, chunk.subscriber) == (row.token, row.queue, row.subscriber)
    assert chunk.delivery_ids == (row.pk,)
    assert chunk.job_id == row.job_id


@pytest.mark.django_db
def test_event_is_fanned_out_once() -> None:
    on_happened(nothing)
    transport = relayed()
    Relay(transport=transport).drain()
    assert len(transport.ids) == Delivery.objects.count() == 1


@pytest.mark.django_db
def test_key_of_the_event_is_that_of_its_deliveries() -> None:
    on_happened(nothing)
    with transaction.atomic():
        publish(HAPPENED, {}, key="order-7")
    Relay(transport=Recorder()).poll()
    assert only_delivery().key == "order-7"


@pytest.mark.django_db
def test_event_that_nobody_subscribes_to_is_done() -> None:
    subscribes(HAPPENED, name="t.sub")(nothing)
    happen()
    with transaction.atomic():
        publish("testapp.order_placed", ORDER)
    for name in list(registry.names()):
        if name.startswith("testapp."):
            registry.remove(name)
    Relay(transport=Recorder()).poll()
    assert not OutboxEvent.objects.filter(relayed_at=None).exists()
    assert set(Delivery.objects.values_list("subscriber", flat=True)) == {"t.sub"}


ORDER = {
    "number": "7",
    "total": "1.50",
    "placed_at": "2026-01-01T00:00:00Z",
    "reference": "00000000-0000-4000-8000-000000000000",
}


@pytest.fixture(autouse=True)
def _keep_subscriptions() -> Any:
    kept = [registry.get(name) for name in registry.names()]
    yield
    for subscription in kept:
        if subscription and not registry.knows(subscription.name):
            registry.add(subscription)


@pytest.mark.django_db
def test_event_of_an_unknown_type_waits_in_nobodys_way(caplog: pytest.LogCaptureFixture) -> None:
    """G10: also where a pattern would match it, because newer code may know better."""
    subscribes("t.*", name="t.pattern")(nothing)
    with transaction.atomic():
        publish("t.unheard_of", {})
    subscribes("t.known", name="t.sub")(nothing)
    with transaction.atomic():
        publish("t.known", {})
    transport = Recorder()
    with caplog.at_level(logging.WARNING, "eda_django"):
        Relay(transport=transport).drain()
    assert {chunk.subscriber for chunk in transport.chunks} == {"t.pattern", "t.sub"}
    waiting = OutboxEvent.objects.get(type="t.unheard_of")
    assert waiting.relayed_at is None
    assert waiting.error == "no running code knows the event type 't.unheard_of'"
    assert 50 < seconds_until(waiting.available_at) <= 61
    assert "declare it with @event or subscribe to it by name events=1" in caplog.text


@pytest.mark.django_db
def test_relay_that_starts_with_newer_code_takes_what_waits() -> None:
    """G10: at once, not when the pause is over."""
    happen(3)
    Relay(transport=Recorder(), batch_size=2).drain()
    assert not Delivery.objects.exists()
    on_happened(nothing)
    transport = Recorder()
    Relay(transport=transport, batch_size=2).drain()
    assert len(transport.ids) == 3
    assert set(OutboxEvent.objects.values_list("error", flat=True)) == {""}


@pytest.mark.django_db
def test_unknown_type_is_tried_again_when_its_time_has_come_and_then_less_often() -> None:
    happen()
    relay = Relay(transport=Recorder())
    relay.drain()
    OutboxEvent.objects.update(time=timezone.now() - timedelta(hours=5))
    make_due()
    relay.drain()
    assert 3500 < seconds_until(OutboxEvent.objects.get().available_at) <= 3600


@pytest.mark.django_db(transaction=True)
def test_event_whose_deliveries_the_database_refuses_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G4: poison at the head is set aside with the reason, the rest goes on."""
    on_happened(nothing)
    happen(5)
    first, *_, last = OutboxEvent.objects.order_by("pk")
    for poison in (first, last):
        Delivery.objects.create(
            event=poison, subscriber="t.sub", queue="default", due_at=after(3600)
        )
    transport = Recorder()
    Relay(transport=transport).drain()
    assert len(transport.ids) == 3
    aside = OutboxEvent.objects.set_aside().order_by("pk")
    assert [row.pk for row in aside] == [first.pk, last.pk]
    for row in aside:
        assert row.error.startswith("the database refuses its deliveries: ")
        assert "\n" not in row.error
        assert seconds_until(row.available_at) > 50
    assert caplog.text.count("event was set aside") == 2


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_transport_is_used() -> None:
    """G8: new events, what was lost on the way and is due again, and the question for it."""
    on_happened(nothing)
    transport = Recorder()
    relay = Relay(transport=transport)
    happen(3)
    relay.drain()
    first = sorted(transport.ids)
    transport.lost = {chunk.token for chunk in transport.chunks}
    lapse_leases()
    relay.drain()
    assert sorted(transport.ids) == sorted(first * 2)
    assert {what for what, _ in transport.calls} == {"push", "alive", "check"}
    assert not any(is_inside for _, is_inside in transport.calls)


@pytest.mark.django_db(transaction=True)
def test_fanning_out_and_pushing_costs_the_same_for_one_event_as_for_many() -> None:
    """Statements by the batch, not by the event or the chunk."""
    on_happened(nothing, name="t.one")
    on_happened(nothing, name="t.two")
    for size in (1, 100):
        happen(size)
        relay = Relay(transport=Recorder())
        with Statements() as captured:
            assert relay.fan_out() == size
        inserts = [sql for sql in captured.texts if sql.startswith("INSERT")]
        # What is scheduled, what is fresh, relayed_at.
        assert len(captured.texts) - len(inserts) == 3
        assert len(inserts) == 1


@pytest.mark.django_db(transaction=True)
def test_turn_that_fans_out_costs_a_look_and_three_statements() -> None:
    """It looks, locks what is fresh, inserts the deliveries, and marks the events."""
    on_happened(nothing)
    relay = Relay(transport=Recorder())
    relay.turn()
    happen(3)
    with Statements() as captured:
        relay.turn()
    assert len(captured.texts) == 4


@pytest.mark.django_db(transaction=True)
def test_idle_turn_costs_one_statement() -> None:
    relay = Relay(transport=Recorder())
    relay.turn()
    with Statements() as captured:
        relay.turn()
    assert len(captured.texts) == 1


@pytest.mark.django_db
def test_turn_moves_no_more_than_its_batch() -> None:
    """G7: so that a stop is obeyed, and leases hold."""
    on_happened(nothing)
    happen(5)
    relay = Relay(transport=Recorder(), batch_size=2)
    assert [relay.poll() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert relay.poll() > 0
    assert Delivery.objects.count() == 5


# Several relays


@pytest.mark.django_db(transaction=True)
def test_two_relays_fan_out_each_event_once() -> None:
    """G12, with 600 events."""
    on_happened(nothing, name="t.one")
    on_happened(nothing, name="t.two")
    happen(600)
    transports = Recorder(), Recorder()
    relays = [Relay(transport=transport, batch_size=50) for transport in transports]

    def until_done(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            while OutboxEvent.objects.fresh().exists():
                relay.turn()

        return work

    in_threads(*map(until_done, relays))
    pushed = transports[0].ids + transports[1].ids
    assert len(pushed) == len(set(pushed)) == Delivery.objects.count() == 1200


@pytest.mark.django_db(transaction=True)
def test_two_relays_push_each_retry_once() -> None:
    """G12: after an outage both find the same deliveries due."""
    on_happened(nothing)
    transport = relayed(300)
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    transports = Recorder(), Recorder()
    relays = [Relay(transport=each, batch_size=20) for each in transports]

    def until_done(relay: Relay) -> Callable[[], None]:
        def work() -> None:
            while Delivery.objects.due().exists():
                relay.turn()

        return work

    in_threads(*map(until_done, relays))
    pushed = transports[0].ids + transports[1].ids
    assert len(pushed) == len(set(pushed)) == 300


@row_locks
@pytest.mark.django_db(transaction=True)
def test_relay_skips_what_another_has_locked_and_sleeps_a_little() -> None:
    """G12: and does not busily ask for it."""
    on_happened(nothing)
    happen(3)
    chunk = relayed(0).chunks[0]
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    happen(2)
    with transaction.atomic():
        list(OutboxEvent.objects.select_for_update())
        list(Delivery.objects.select_for_update())
        transport = Recorder()
        (slept,) = in_threads(Relay(transport=transport).turn)
    assert transport.chunks == []
    assert slept == pytest.approx(0.1)


# Retries


@pytest.mark.django_db
def test_failed_delivery_is_pushed_again_when_it_is_due() -> None:
    on_happened(nothing)
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.put_aside(chunk.token, chunk.delivery_ids, kind="x", reason="y", seconds=60)
    relay = Relay(transport=transport)
    transport.chunks.clear()
    assert relay.poll() == pytest.approx(5.0)
    assert transport.chunks == []
    make_due()
    assert relay.poll() == 0.0
    assert transport.ids == [only_delivery().pk]
    assert transport.chunks[0].token != chunk.token


@pytest.mark.django_db
def test_relay_sleeps_until_the_next_retry() -> None:
    on_happened(nothing)
    (chunk,) = relayed().chunks
    Delivery.objects.put_aside(chunk.token, chunk.delivery_ids, kind="x", reason="y", seconds=2)
    assert 1.0 < Relay(transport=Recorder()).poll() <= 2.0


@pytest.mark.django_db
def test_retry_goes_to_the_queue_that_the_subscriber_has_now() -> None:
    """Its old queue may be gone from RQ_QUEUES, or no worker may listen on it any more."""
    on_happened(nothing, queue="slow")
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    registry.remove("t.sub")
    on_happened(nothing, queue="fast")
    transport.chunks.clear()
    Relay(transport=transport).poll()
    assert transport.chunks[0].queue == only_delivery().queue == "fast"


@pytest.mark.django_db
def test_delivery_of_an_unknown_subscriber_goes_to_its_old_queue() -> None:
    """G10: newer code, which knows it, may run there."""
    on_happened(nothing, queue="slow")
    transport = relayed()
    (chunk,) = transport.chunks
    Delivery.objects.release(chunk.token, chunk.delivery_ids)
    registry.remove("t.sub")
    transport.chunks.clear()
    Relay(transport=transport).poll()
    assert transport.chunks[0].queue == "slow"


# A transport that does not take it


@pytest.mark.django_db
def test_push_that_fails_gives_everything_back() -> None:
    """G2: no attempt burns, and nothing waits for a lease."""
    on_happened(nothing)
    transport = Recorder()
    transport.is_down = True
    happen(3)
    relay = Relay(transport=transport)
    with pytest.raises(TransportUnavailable):
        relay.drain()
    assert statuses() == ["pending"] * 3
    transport.is_down = False
    relay.drain()
    assert len(transport.ids) == 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


@pytest.mark.django_db
def test_queue_that_takes_nothing_delays_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """G4: what goes through it is put aside, with one line in the log for each subscriber."""
    on_happened(nothing, name="t.good", queue="fast")
    on_happened(nothing, name="t.bad", queue="slow")
    transport = Recorder()
    transport.refused["slow"] = "Redis is away"
    happen(50)
    relay = Relay(transport=transport)
    relay.drain()
    assert {chunk.subscriber for chunk in transport.chunks} == {"t.good"}
    assert len(transport.ids) == 50
    aside = Delivery.objects.filter(subscriber="t.bad")
    assert set(aside.values_list("status", "error_class", "error_text", "attempts")) == {
        ("pending", UNPUSHABLE, "Redis is away", 0)
    }
    assert [seconds_until(row.due_at) > 10 for row in aside] == [True] * 50
    assert caplog.text.count("can't push count=50 deliveries for t.bad: Redis is away") == 1
    assert caplog.text.count("can't push") == 1


@pytest.mark.django_db
def test_drain_gets_past_a_batch_that_is_refused() -> None:
    on_happened(nothing, name="t.bad", queue="slow")
    on_happened(nothing, name="t.good", queue="fast")
    transport = relayed(4)
    for chunk in transport.chunks:
        Delivery.objects.release(chunk.token, chunk.delivery_ids)
    Delivery.objects.filter(subscriber="t.bad").update(due_at=after(-60))
    transport.chunks.clear()
    transport.refused["slow"] = "there is no such queue"
    assert Relay(transport=transport, batch_size=2).drain() == 8
    assert len(transport.ids) == 4


@pytest.mark.django_db
def test_chunk_that_is_only_given_back_is_due_at_once() -> None:
    """An inline relay that is to stop hands back what it has not begun."""
    on_happened(nothing)
    transport = Recorder()
    transport.refused["default"] = ""
    happen()
    relay = Relay(transport=transport)
    relay.fan_out()
    assert seconds_until(only_delivery().due_at) <= 0
    assert only_delivery().error_text == ""
    assert relay.push_due() == 0


# The loop, and outages


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
    assert f":{first.pid}:" in relay.name
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
    assert 7.5 <= pauses[-1] <= 15.0
    assert caplog.text.count("relay has lost its transport") == 1
    assert "error=TransportUnavailable: nothing answers" in caplog.text
    assert caplog.text.count("relay works again") == 1
    assert len(transport.ids) == 2


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


# Housekeeping


@pytest.mark.django_db(transaction=True)
def test_housekeeping_that_fails_keeps_nothing_from_being_relayed() -> None:
    """A table of the site's that refers to events must not stop the events."""
    on_happened(nothing)
    transport = Recorder()
    relay = Relay(transport=transport, clock=Clock())
    with connection.execute_wrapper(failing("ORDER BY", ProgrammingError("prune"))):
        relay.turn()
    happen(2)

    class Unprunable(Relay):
        def prune(self) -> bool:
            raise ProgrammingError("no")

    Unprunable(transport=transport).turn()
    assert len(transport.ids) == 2


@pytest.mark.django_db
def test_finished_events_are_pruned_in_batches_each_turn(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G7."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    on_happened(nothing)
    relayed(5).work()
    OutboxEvent.objects.update(relayed_at=after(-100_000), time=timezone.now() - timedelta(days=2))
    relay = Relay(transport=Recorder(), batch_size=2)
    left = []
    with caplog.at_level(logging.INFO, "eda_django"):
        for _ in range(3):
            relay.turn()
            left.append(OutboxEvent.objects.count())
    assert left == [3, 1, 0]
    assert not Delivery.objects.exists()
    assert caplog.text.count("pruned events=") == 3


@pytest.mark.django_db
def test_pruning_rests_once_it_is_through(settings: Any) -> None:
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    on_happened(nothing)
    clock = Clock()
    relay = Relay(transport=Recorder(), clock=clock)
    relay.turn()
    relayed().work()
    OutboxEvent.objects.update(relayed_at=after(-100_000))
    clock.now += 59
    relay.turn()
    assert OutboxEvent.objects.exists()
    clock.now += 1
    relay.turn()
    assert not OutboxEvent.objects.exists()


# In the relay's own process


@pytest.mark.django_db(transaction=True)
def test_inline_relay_runs_the_subscribers_and_what_they_cause() -> None:
    def subscriber(seen: Event[Any]) -> None:
        Effect.objects.create(subscriber="t", event_id=seen.id, attempt=seen.attempt)
        if seen.data["number"] < 3:
            publish(HAPPENED, {"number": seen.data["number"] + 1})

    on_happened(subscriber)
    happen()
    Relay(transport=InlineTransport()).drain()
    assert statuses() == ["succeeded"] * 4
    assert Effect.objects.count() == 4


@pytest.mark.django_db
def test_relay_has_rq_for_its_transport_unless_told_otherwise(settings: Any) -> None:
    settings.EDA_DJANGO = {"BATCH_SIZE": 7, "POLL_INTERVAL": 2.5}
    relay = Relay()
    assert isinstance(relay.transport, RqTransport)
    assert (relay.batch_size, relay.poll_interval) == (7, 2.5)


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
