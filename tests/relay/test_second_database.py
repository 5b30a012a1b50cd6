"""A relay of a second database: all that it does, it does there. The first one is shut."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DataError, OperationalError, connections, transaction
from django.utils import timezone

from eda_django import Retry, publish, subscribes
from eda_django.exceptions import TransportUnavailable
from eda_django.inline import InlineTransport
from eda_django.models import BulkOperation, RelayHeartbeat
from eda_django.models.bulk_operation import Verb
from eda_django.models.clock import after
from eda_django.models.selection import Selection
from eda_django.pulse import FORGOTTEN
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.elsewhere import (
    USING,
    deliveries,
    effects,
    failures,
    lapse,
    make_due,
    only_there,
    outbox,
    statuses,
    write_there,
)
from tests.recovering import seen_before
from tests.relay.standing_in import failing
from tests.relaying import Recorder, happen, on_happened

pytestmark = only_there()


def relay(transport: Recorder | None = None, **options: Any) -> Relay:
    return Relay(using=USING, transport=transport or Recorder(), **options)


def fail(seen: Any) -> None:
    raise RuntimeError("no")


def queued(count: int = 1, subscriber: Callable[[Any], None] = write_there) -> Recorder:
    """Publish and relay so much; return the transport that has it."""
    on_happened(subscriber, retry=Retry(max_attempts=2, base=60.0))
    happen(count, using=USING)
    transport = Recorder()
    assert relay(transport).drain() == count
    return transport


def test_the_first_database_is_shut() -> None:
    """Or else the tests below could not fail."""
    with pytest.raises(RuntimeError, match="Only the second"):
        transaction.atomic(using=DEFAULT_DB_ALIAS).__enter__()


def test_what_is_published_there_is_delivered_there() -> None:
    transport = queued(3)
    assert transport.work(using=USING) == 3
    assert (statuses(), effects()) == (["succeeded"] * 3, 3)
    assert not outbox().filter(relayed_at=None).exists()


def test_what_fails_is_tried_again_and_dies_there() -> None:
    transport = queued(1, fail)
    assert transport.work(using=USING) == 0
    assert (statuses(), failures()) == (["pending"], ["RuntimeError"])
    make_due()
    assert relay(transport).drain() == 1
    transport.work(using=USING)
    assert (statuses(), failures()) == (["dead"], ["RuntimeError"] * 2)


def test_a_dead_letter_that_an_operator_retries_goes_again() -> None:
    transport = queued(2, fail)
    deliveries().update(status="dead", attempts=2, due_at=None, lease_until=None)
    with transaction.atomic(using=USING):
        assert len(deliveries().retry()) == 2
    transport.chunks.clear()
    assert relay(transport).poll() == 0.0
    assert sorted(transport.ids) == [row.pk for row in deliveries()]


def test_a_bulk_operation_is_done_there(caplog: pytest.LogCaptureFixture) -> None:
    queued(3, fail)
    deliveries().update(status="dead", attempts=2, due_at=None, lease_until=None)
    BulkOperation.objects.using(USING).begin(
        Verb.DISCARD, Selection(status="dead"), operator="ada", reason="old"
    )
    with caplog.at_level(logging.INFO, "eda_django"):
        assert relay().poll() == 0.0
    assert statuses() == ["discarded"] * 3
    assert "bulk operation is done" in caplog.text
    assert f"database={USING}" in caplog.text


def test_an_event_of_an_unknown_type_waits_there_until_newer_code_comes() -> None:
    with transaction.atomic(using=USING):
        publish("t.unheard_of", {}, using=USING)
    relay().poll()
    assert "no running code knows" in outbox().get().error
    subscribes("t.unheard_of", name="t.newer")(write_there)
    transport = Recorder()
    assert relay(transport).drain() == 1
    assert transport.work(using=USING) == 1


def test_an_event_that_was_set_aside_goes_when_its_time_has_come() -> None:
    on_happened(write_there)
    happen(2, using=USING)
    outbox().put_aside([row.pk for row in outbox()], error="", seconds=60)
    assert relay().poll() > 0
    make_due()
    assert relay().poll() == 0.0
    assert statuses() == ["queued"] * 2


def test_deliveries_of_a_subscriber_that_a_worker_did_not_know_go_with_newer_code() -> None:
    transport = queued(2)
    known = registry.get("t.sub")
    assert known
    registry.remove("t.sub")
    assert transport.work(using=USING) == 0
    assert statuses() == ["pending"] * 2
    registry.add(known)
    assert relay(transport).drain() == 2
    assert transport.work(using=USING) == 2


def test_what_the_transport_does_not_take_is_kept_there() -> None:
    on_happened(write_there, queue="fast", name="t.refused")
    transport = Recorder()
    transport.refused = {"fast": "no such queue"}
    happen(1, using=USING)
    assert relay(transport).drain() == 1
    row = deliveries().get()
    assert (row.status, row.error_text) == ("pending", "no such queue")


def test_what_could_not_be_sent_goes_back_there() -> None:
    on_happened(write_there)
    happen(2, using=USING)
    transport = Recorder()
    transport.is_down = True
    with pytest.raises(TransportUnavailable):
        relay(transport).poll()
    assert statuses() == ["pending"] * 2
    assert relay(transport).turn() > 0
    transport.is_down = False
    assert relay(transport).turn() == 0.0
    assert transport.work(using=USING) == 2


def test_what_was_lost_on_the_way_is_found_there() -> None:
    transport = queued(2)
    lapse()
    transport.lost = {chunk.token for chunk in transport.chunks}
    transport.chunks.clear()
    assert relay(transport).drain() == 4
    assert transport.work(using=USING) == 2


def test_an_attempt_that_was_lost_with_its_worker_is_recorded_there() -> None:
    transport = queued(2)
    (chunk, *_) = transport.chunks
    first = chunk.delivery_ids[0]
    deliveries().start(first, token=chunk.token, lease=30.0)
    deliveries().update(token=chunk.token)
    lapse()
    assert seen_before(relay(transport)).reconcile() == 1
    assert failures() == ["eda_django.WorkerLost"]
    # And its neighbour goes back.
    assert statuses() == ["pending"] * 2


def test_events_that_the_database_refuses_are_set_aside_there() -> None:
    on_happened(write_there)
    happen(2, using=USING)
    with connections[USING].execute_wrapper(
        failing("INSERT INTO eda_django_delivery", DataError("no"))
    ):
        assert relay().fan_out() == 2
    assert [row.error for row in outbox()] == ["the database refuses its deliveries: no"] * 2


def test_what_is_old_is_pruned_there(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
    queued(3).work(using=USING)
    outbox().update(relayed_at=after(-200_000), time=timezone.now() - timedelta(days=3))
    with caplog.at_level(logging.INFO, "eda_django"):
        relay().turn()
    assert (outbox().count(), deliveries().count()) == (0, 0)
    assert f"pruned events=3 database={USING}" in caplog.text


def test_the_relay_shows_there_that_it_lives_and_signs_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[str, list[str]]] = []
    heartbeats = RelayHeartbeat.objects.using(USING)
    heartbeats.beat("long gone", hostname="h", pid=1, version="1")
    heartbeats.update(beat_at=after(-FORGOTTEN - 60))

    class Stopping(Recorder):
        def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
            seen.append((using, list(heartbeats.values_list("name", flat=True))))
            made.stop()
            return super().wait(seconds, using=using, wake=wake)

    made = relay(Stopping())
    with caplog.at_level(logging.INFO, "eda_django"):
        made.run()
    assert seen == [(USING, [made.name])]
    assert not heartbeats.exists()
    assert [r.message.split("database=")[1] for r in caplog.records] == [USING, USING]


@only_there(transaction=True)[0]
def test_a_relay_that_loses_its_database_drops_that_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = relay()
    with connections[USING].execute_wrapper(failing("SELECT", OperationalError("gone"))):
        assert made.turn() > 0
    assert "relay turn was undone by the database" in caplog.text
    assert connections[USING].connection is None
    assert made.turn() > 0


def test_the_command_drains_that_database_and_no_other() -> None:
    on_happened(write_there)
    happen(2, using=USING)
    call_command("relay", "--once", "--inline", f"--database={USING}")
    assert (statuses(), effects()) == (["succeeded"] * 2, 2)


def test_subscribers_run_in_the_relay_are_settled_there() -> None:
    on_happened(write_there)
    happen(2, using=USING)
    Relay(using=USING, transport=InlineTransport()).drain()
    assert statuses() == ["succeeded"] * 2


def test_jobs_say_which_database_their_deliveries_are_in() -> None:
    said: list[str] = []

    class Listening(Recorder):
        def push(self, chunks: Any, *, using: str) -> Any:
            said.append(using)
            return super().push(chunks, using=using)

    on_happened(write_there)
    happen(1, using=USING)
    relay(Listening()).drain()
    assert said == [USING]
