"""The relay as its own worker: what ends a worker, or would, does not end the relay."""

import logging
import time
from typing import Any

import pytest

from eda_django import Event
from eda_django.inline import InlineTransport
from eda_django.models import RelayHeartbeat
from eda_django.relay import Relay
from tests.relaying import Recorder, happen, on_happened, only_delivery

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
