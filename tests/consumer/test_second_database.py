"""Deliveries of a second database: all that becomes of them is written there. The first is shut."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.models.signals import pre_save

from eda_django import Discard, Event, Retry, RetryLater, consumer, event, signals
from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.models import Attempt
from eda_django.models.clock import after
from eda_django.models.status import UNDECODABLE, UNKNOWN_SUBSCRIBER
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.databases import vendor
from tests.elsewhere import (
    USING,
    deliveries,
    effects,
    failures,
    only_there,
    outbox,
    statuses,
    write_there,
)
from tests.relay.standing_in import failing
from tests.relaying import HAPPENED, Recorder, cut_connection, happen, on_happened

pytestmark = only_there()


@dataclass
class Numbered:
    number: int


def one_chunk(
    count: int, subscriber: Callable[[Event[Any]], Any] = write_there, **options: Any
) -> Chunk:
    """Return a chunk of so many deliveries: all under one claim, as under backlog."""
    on_happened(subscriber, **options)
    happen(count, using=USING)
    transport = Recorder()
    Relay(using=USING, transport=transport).drain()
    chunk = Chunk(
        token=uuid4(), subscriber="t.sub", queue="default", delivery_ids=tuple(transport.ids)
    )
    deliveries().update(token=chunk.token)
    return chunk


def run(chunk: Chunk, **options: Any) -> int:
    return consume(chunk.delivery_ids, token=chunk.token.hex, using=USING, **options)


def fails_first(error: BaseException) -> Callable[[Event[Any]], None]:
    """Return a subscriber that writes, and then fails for the first event."""

    def subscriber(seen: Event[Any]) -> None:
        write_there(seen)
        if seen.data["number"] == 0:
            raise error

    return subscriber


@pytest.mark.parametrize("atomic", [True, False])
def test_effects_and_acknowledgements_are_there(atomic: bool) -> None:
    assert run(one_chunk(3, atomic=atomic)) == 3
    assert (statuses(), effects()) == (["succeeded"] * 3, 3)
    assert set(deliveries().values_list("attempts", flat=True)) == {1}


@only_there(transaction=True)[0]
def test_a_subscriber_runs_in_a_transaction_of_that_database() -> None:
    seen: list[bool] = []

    def look(_: Event[Any]) -> None:
        seen.append(connections[USING].in_atomic_block)

    run(one_chunk(1, look))
    assert seen == [True]


@pytest.mark.parametrize(("atomic", "written"), [(True, 2), (False, 3)])
def test_what_fails_is_recorded_there_and_delays_nothing(atomic: bool, written: int) -> None:
    assert run(one_chunk(3, fails_first(RuntimeError("no")), atomic=atomic)) == 2
    assert statuses() == ["pending", "succeeded", "succeeded"]
    assert (failures(), effects()) == (["RuntimeError"], written)


@only_there(transaction=True)[0]
def test_an_attempt_is_recorded_in_one_transaction_with_its_delivery() -> None:
    inside: list[bool] = []

    def note(**known: Any) -> None:
        inside.append(connections[USING].in_atomic_block)

    chunk = one_chunk(1, fails_first(RuntimeError("no")))
    pre_save.connect(note, sender=Attempt)
    try:
        run(chunk)
    finally:
        pre_save.disconnect(note, sender=Attempt)
    assert inside == [True]
    assert statuses() == ["pending"]


def test_what_can_not_be_stored_is_stored_there_in_plain_letters() -> None:
    chunk = one_chunk(1, fails_first(LookupError("Größe")))
    refused: list[str] = []

    def once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "eda_django_attempt" in sql and not refused:
            refused.append(sql)
            raise DatabaseError("no such letter")
        return execute(sql, params, many, context)

    with connections[USING].execute_wrapper(once):
        run(chunk)
    assert deliveries().get().error_text == "Gr\\xf6\\xdfe"
    assert failures() == ["LookupError"]


def test_the_last_attempt_makes_a_dead_letter_there() -> None:
    run(one_chunk(1, fails_first(RuntimeError("no")), retry=Retry(max_attempts=1)))
    assert (statuses(), failures()) == (["dead"], ["RuntimeError"])


@pytest.mark.parametrize(
    ("error", "status"), [(Discard("why"), "discarded"), (RetryLater(60), "pending")]
)
def test_what_is_dropped_or_put_off_is_there(error: Exception, status: str) -> None:
    run(one_chunk(1, fails_first(error)))
    assert (statuses(), failures(), effects()) == ([status], [], 0)


def test_an_exit_gives_the_rest_back_there() -> None:
    released: list[str] = []
    chunk = one_chunk(3, fails_first(SystemExit(1)))

    def note(using: str, **known: Any) -> None:
        released.append(using)

    signals.deliveries_released.connect(note)
    try:
        with pytest.raises(SystemExit):
            run(chunk)
    finally:
        signals.deliveries_released.disconnect(note)
    assert statuses() == ["pending"] * 3
    assert (failures(), released) == (["SystemExit"], [USING])


def test_what_there_is_no_time_for_goes_back_there(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = one_chunk(3)
    monkeypatch.setattr(consumer, "TIME_SLICE", -1.0)
    assert run(chunk) == 0
    assert statuses() == ["pending"] * 3


def test_a_subscriber_that_takes_too_long_fails_there() -> None:
    def linger(seen: Event[Any]) -> None:
        time.sleep(5)

    run(one_chunk(1, linger), limit_of=lambda queue: 0.05)
    assert failures() == ["eda_django.exceptions.SubscriberTimeout"]


def test_what_is_unknown_here_waits_there() -> None:
    chunk = one_chunk(2)
    registry.remove("t.sub")
    run(chunk)
    assert set(deliveries().values_list("status", "error_class")) == {
        ("pending", UNKNOWN_SUBSCRIBER)
    }


def test_a_payload_of_newer_code_waits_there() -> None:
    event(HAPPENED)(Numbered)
    chunk = one_chunk(1)
    outbox().update(version=2)
    run(chunk)
    assert (statuses(), deliveries().get().error_class) == (["pending"], UNDECODABLE)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_claim_that_is_lost_meanwhile_changes_nothing_there(
    atomic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    taken = UUID(int=7)

    def lose(seen: Event[Any]) -> None:
        write_there(seen)
        deliveries().update(token=taken, status="queued", lease_until=after(30))

    with caplog.at_level(logging.WARNING, "eda_django"):
        assert run(one_chunk(1, lose, atomic=atomic)) == 0
    assert "claim was lost" in caplog.text
    assert effects() == (0 if atomic else 1)


@only_there(transaction=True)[0]
def test_a_hook_that_fails_after_the_commit_leaves_a_success_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def explode() -> None:
        raise RuntimeError("after the commit")

    def hook(seen: Event[Any]) -> None:
        write_there(seen)
        transaction.on_commit(explode, using=USING)

    assert run(one_chunk(2, hook)) == 2
    assert (statuses(), failures(), effects()) == (["succeeded"] * 2, [], 2)
    assert caplog.text.count("error after the commit") == 2


def test_the_end_of_a_chunk_is_told_with_its_database() -> None:
    told: list[str] = []

    def note(using: str, **known: Any) -> None:
        told.append(using)

    signals.chunk_finished.connect(note)
    try:
        run(one_chunk(1))
    finally:
        signals.chunk_finished.disconnect(note)
    assert told == [USING]


@only_there(transaction=True)[0]
def test_a_subscriber_that_leaves_autocommit_off_there_fails() -> None:
    def leave(seen: Event[Any]) -> None:
        connections[USING].set_autocommit(False)

    run(one_chunk(1, leave, atomic=False))
    assert failures() == ["django.db.transaction.TransactionManagementError"]


@only_there(transaction=True)[0]
@pytest.mark.parametrize(("atomic", "status"), [(True, "pending"), (False, "succeeded")])
def test_a_connection_there_that_dies_under_a_subscriber_is_made_anew(
    atomic: bool, status: str
) -> None:
    def cut(seen: Event[Any]) -> None:
        cut_connection(using=USING)
        if atomic:
            raise OperationalError("gone")

    run(one_chunk(1, cut, atomic=atomic))
    assert statuses() == [status]


@only_there(transaction=True)[0]
@pytest.mark.skipif(vendor() != "mariadb", reason="Only InnoDB ends a transaction by itself.")
def test_a_deadlock_there_that_is_swallowed_fails_the_attempt() -> None:
    def swallow(seen: Event[Any]) -> None:
        gone = OperationalError(1213, "Deadlock found when trying to get lock")
        with connections[USING].execute_wrapper(failing("COUNT", gone)), suppress(OperationalError):
            outbox().count()

    run(one_chunk(1, swallow))
    assert statuses() == ["pending"]
