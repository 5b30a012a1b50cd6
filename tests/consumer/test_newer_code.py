"""What older code does not know waits for newer code."""

import json
import logging
import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from eda_django import event, publish, subscribes
from eda_django.models import Attempt, Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.models.reading import LARGE
from eda_django.models.status import UNDECODABLE, UNKNOWN_SUBSCRIBER
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.consumer.running import PROMPT, one_chunk, run
from tests.relaying import (
    HAPPENED,
    Recorder,
    Statements,
    on_happened,
    only_delivery,
    seconds_until,
    write,
)


@pytest.mark.django_db
def test_unknown_subscriber_waits_for_newer_code(caplog: pytest.LogCaptureFixture) -> None:
    """G10: no attempt burns, the reason can be seen."""
    chunk = one_chunk(3)
    registry.remove("t.sub")
    with Statements() as captured, caplog.at_level(logging.INFO, "eda_django"):
        assert run(chunk) == 0
    # InnoDB is asked first which rows nobody holds.
    assert len(captured.texts) == 2 + (connection.vendor == "mysql")
    for row in Delivery.objects.all():
        assert (row.status, row.attempts, row.error_class) == ("pending", 0, UNKNOWN_SUBSCRIBER)
        assert row.error_text == "no running code knows the subscriber 't.sub'"
        assert 50 < seconds_until(row.due_at) <= 61
    assert "no running code knows the subscriber 't.sub'" in caplog.text


@pytest.mark.django_db
def test_relay_of_newer_code_releases_what_older_code_put_aside() -> None:
    """G10."""
    chunk = one_chunk(1)
    registry.remove("t.sub")
    run(chunk)
    on_happened(write)
    transport = Recorder()
    Relay(transport=transport).drain()
    assert transport.work() == 1
    assert only_delivery().status == "succeeded"


@pytest.mark.django_db
def test_what_waits_long_for_newer_code_is_tried_less_often() -> None:
    """The deliveries of a subscriber that is gone for good must not go round every minute."""
    chunk = one_chunk(1)
    registry.remove("t.sub")
    OutboxEvent.objects.update(relayed_at=after(-20 * 60))
    run(chunk)
    assert 1190 < seconds_until(only_delivery().due_at) < 1230


@pytest.mark.django_db
def test_payload_of_a_newer_version_waits_for_newer_code() -> None:
    """G10."""
    event(HAPPENED)(Fussy)
    chunk = one_chunk(2)
    OutboxEvent.objects.filter(pk=OutboxEvent.objects.earliest("pk").pk).update(version=2)
    assert run(chunk) == 1
    row = Delivery.objects.earliest("pk")
    assert (row.status, row.attempts, row.error_class) == ("pending", 0, UNDECODABLE)
    assert row.error_text.startswith(f"no running code knows version 2 of '{HAPPENED}'")
    assert 50 < seconds_until(row.due_at) <= 61
    assert not Attempt.objects.exists()


@dataclass
class Fussy:
    number: int

    def __post_init__(self) -> None:
        fussy_fails(self.number)


def fussy_fails(number: int) -> None:
    """Replaced by the tests below: what the code of a later deploy does with a payload."""


@pytest.mark.django_db
@pytest.mark.parametrize("error", [KeyError, TypeError, RecursionError, ZeroDivisionError])
def test_payload_class_that_raises_anything_leaves_its_neighbours_alone(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """G4, G10: an error that is not pydantic's waits for newer code, too."""
    event("t.fussy")(Fussy)
    subscribes(Fussy, name="t.sub")(lambda seen: None)
    with transaction.atomic():
        for number in (1, 2, 3):
            publish(Fussy(number))
    transport = Recorder()
    Relay(transport=transport).drain()

    def fail(number: int) -> None:
        if number == 2:
            raise error("secret 2")

    monkeypatch.setitem(globals(), "fussy_fails", fail)
    assert transport.work() == 2
    row = Delivery.objects.order_by("pk")[1]
    assert (row.status, row.attempts, row.error_class) == ("pending", 0, UNDECODABLE)
    assert row.error_text == (
        "no running code knows how to read this payload of 't.fussy': Fussy raised "
        f"{error.__name__}"
    )


@pytest.mark.django_db
def test_payload_that_ends_the_process_when_read_burns_an_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """G4: what kills a worker before its subscriber runs must become a dead letter, too."""
    event("t.fussy")(Fussy)
    subscribes(Fussy, name="t.sub", retry=PROMPT)(lambda seen: None)
    with transaction.atomic():
        publish(Fussy(1))
    transport = Recorder()
    Relay(transport=transport).drain()

    def leave(number: int) -> None:
        raise SystemExit

    monkeypatch.setitem(globals(), "fussy_fails", leave)
    with pytest.raises(SystemExit):
        transport.work()
    assert (only_delivery().status, only_delivery().attempts) == ("pending", 1)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [MemoryError, OperationalError])
def test_payload_that_can_not_be_read_is_an_attempt_that_failed(error: type[Exception]) -> None:
    """G4: to put the failure into words must not read it once more."""
    chunk = one_chunk(2)
    first = Delivery.objects.order_by("pk")[0]
    data = {"text": secrets.token_hex(LARGE)}
    OutboxEvent.objects.filter(pk=first.event_id).update(data=data)

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and 'outboxevent"."data' in sql.replace("`", '"'):
            raise error("too much")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        assert run(chunk) == 1
    rows = Delivery.objects.order_by("pk").values_list("status", "attempts")
    assert list(rows) == [("pending", 1), ("succeeded", 1)]
    assert Attempt.objects.get().error_text == "too much"


@pytest.mark.django_db
def test_payload_too_large_to_be_parsed_burns_its_own_attempt_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """G4: if the chunk were parsed before, no attempt would ever tell of which event it died."""
    chunk = one_chunk(3)
    parse = json.loads

    def loads(text: str, **options: Any) -> Any:
        if '"number":1' in text.replace(" ", ""):
            raise MemoryError
        return parse(text, **options)

    monkeypatch.setattr(json, "loads", loads)
    assert run(chunk) == 2
    rows = Delivery.objects.order_by("pk").values_list("status", "attempts")
    assert list(rows) == [("succeeded", 1), ("pending", 1), ("succeeded", 1)]
    assert Attempt.objects.get().error_class == "MemoryError"
