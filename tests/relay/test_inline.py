"""The relay as its own worker: what ends a worker, or would, does not end the relay."""

import logging
import time
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection

from eda_django import Event, inline
from eda_django.inline import InlineTransport
from eda_django.models import Delivery, RelayHeartbeat
from eda_django.models.status import UNPUSHABLE
from eda_django.pushing import Pusher
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.recovering import one_chunk
from tests.relay.standing_in import failing, nothing
from tests.relaying import (
    Recorder,
    happen,
    on_happened,
    only_delivery,
    relayed,
    seconds_until,
    statuses,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_subscriber_without_a_time_limit_has_that_of_its_queue(settings: Any) -> None:
    queues = settings.RQ_QUEUES
    settings.RQ_QUEUES = {**queues, "default": {**queues["default"], "DEFAULT_TIMEOUT": "1s"}}

    def linger(seen: Event[Any]) -> None:
        time.sleep(5)

    on_happened(linger)
    happen()
    Relay(transport=InlineTransport()).drain()
    assert only_delivery().error_class == "eda_django.exceptions.SubscriberTimeout"


def test_a_heartbeat_tells_whether_the_relay_runs_the_subscribers_itself() -> None:
    for transport in (InlineTransport(), Recorder()):
        relay = Relay(transport=transport)
        relay.show_life()
        row = RelayHeartbeat.objects.get(name=relay.name)
        assert row.inline == isinstance(transport, InlineTransport)


def test_a_subscriber_that_calls_exit_is_named_and_its_words_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G9."""

    def leave(seen: Event[Any]) -> None:
        raise SystemExit("4111-1111-1111-1111")

    on_happened(leave)
    happen()
    Relay(transport=InlineTransport()).drain()
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "a subscriber of t.sub called exit" in said
    assert only_delivery().attempts == 1


def test_a_site_that_has_no_queues_yet_is_relayed_for(settings: Any) -> None:
    """Without a worker no queue is needed, only RQ's own time limit."""
    del settings.RQ_QUEUES
    on_happened(lambda seen: None)
    happen()
    Relay(transport=InlineTransport()).drain()
    assert only_delivery().status == "succeeded"


def test_a_chunk_that_can_not_be_run_holds_up_no_other(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G4: it is put aside with the reason, and burns no attempt."""
    slow = {**settings.RQ_QUEUES["slow"], "DEFAULT_TIMEOUT": "1 hour"}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": slow}
    on_happened(nothing, name="t.first", queue="slow")
    on_happened(nothing, name="t.second")
    happen()
    relay = Relay(transport=InlineTransport())
    relay.turn()
    assert not relay.outage
    first, second = Delivery.objects.order_by("pk")
    assert (second.subscriber, second.status) == ("t.second", "succeeded")
    assert (first.status, first.attempts, first.error_class) == ("pending", 0, UNPUSHABLE)
    assert first.error_text.startswith("ImproperlyConfigured: RQ_QUEUES['slow'] has DEFAULT_TIME")
    assert seconds_until(first.due_at) > 10
    assert "consumer broke off error=ImproperlyConfigured: RQ_QUEUES['slow'] has" in caplog.text


def test_what_was_not_tried_when_the_database_failed_is_due_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """G4: also if it is always the same chunk that breaks off. That one waits for its lease."""

    def limit_of(queue: str) -> None:
        if queue == "slow":
            raise OperationalError("database is locked")

    monkeypatch.setattr(inline, "limit_of", limit_of)
    on_happened(nothing, name="t.first", queue="slow")
    on_happened(nothing, name="t.second")
    happen()
    relay = Relay(transport=InlineTransport())
    relay.turn()
    assert relay.outage
    assert statuses() == ["queued", "pending"]
    assert seconds_until(Delivery.objects.latest("pk").due_at) <= 0
    relay.turn()
    assert not relay.outage
    assert statuses() == ["queued", "succeeded"]


def test_a_database_that_takes_nothing_back_hides_no_error() -> None:
    """The leases end by themselves."""
    on_happened(nothing)
    chunks = relayed(2).chunks
    table = "eda_django_delivery"
    with (
        connection.execute_wrapper(failing("SELECT", OperationalError("gone"), table=table)),
        connection.execute_wrapper(failing("UPDATE", DatabaseError("aborted"), table=table)),
        pytest.raises(OperationalError, match="gone"),
    ):
        InlineTransport().push(chunks, using="default")
    assert statuses() == ["queued", "queued"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_it_is_given_back_on_the_outboxs_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """G12."""

    def limit_of(queue: str) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(inline, "limit_of", limit_of)
    on_happened(nothing)
    happen(2, using="other")
    Relay(using="other", transport=InlineTransport()).turn()
    rows = Delivery.objects.using("other").order_by("pk")
    assert [row.status for row in rows] == ["queued", "pending"]


def test_of_a_chunk_that_breaks_off_what_has_run_is_left_as_it_is() -> None:
    """G3."""
    ran: list[int] = []

    def run(seen: Event[Any]) -> None:
        ran.append(seen.data["number"])
        if seen.data["number"] == 1:
            raise ValueError

    chunk = one_chunk(3)
    registry.remove("t.sub")
    on_happened(run)
    broken = failing("INSERT", RuntimeError("no attempt is stored"), table="eda_django_attempt")
    with connection.execute_wrapper(broken):
        Pusher("default", InlineTransport()).push([chunk])
    assert ran == [0, 1]
    assert statuses() == ["succeeded", "running", "pending"]
