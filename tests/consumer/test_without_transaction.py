"""Subscribers with atomic=False, and connections that die under one."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from eda_django import Event
from eda_django.execution import NO_TIMEOUT
from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.registry import registry
from tests.consumer.running import fails_for, one_chunk, run
from tests.relaying import Statements, cut_connection, only_delivery, seconds_until, statuses, write
from tests.testapp.models import Effect


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_runs_outside_a_transaction() -> None:
    seen: list[bool] = []
    chunk = one_chunk(3, lambda event: seen.append(connection.in_atomic_block), atomic=False)
    assert run(chunk) == 3
    assert seen == [False] * 3
    assert statuses() == ["succeeded"] * 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_that_fails_keeps_what_it_wrote() -> None:
    """G3: at least once is all that is promised without a transaction."""
    assert run(one_chunk(3, fails_for(0, 2), atomic=False)) == 1
    assert statuses() == ["pending", "succeeded", "pending"]
    assert Effect.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_bare_chunk_costs_two_statements_a_delivery_and_two_more() -> None:
    chunk = one_chunk(10, atomic=False)
    with Statements() as captured:
        run(chunk)
    assert len(captured.texts) == 2 + 2 * 10


@pytest.mark.django_db
@pytest.mark.parametrize("forged", [None, 0.5, 1e9])
@pytest.mark.parametrize(
    ("options", "of_queue", "seconds"),
    [
        ({"atomic": True, "timeout": 600}, 60, 30),
        ({"atomic": False, "timeout": 600}, 60, 630),
        ({"atomic": False}, 60, 90),
        ({"atomic": False}, None, 30 + NO_TIMEOUT),
    ],
)
def test_lease_of_what_runs_lasts_as_long_as_it_may_run(
    options: dict[str, Any], of_queue: float | None, seconds: float, forged: float | None
) -> None:
    """Without a row lock, only time can tell that a worker is dead.

    What stands in the job does not count: with a limit of years the delivery would wait as long.
    """
    left: list[float] = []

    def note(seen: Event[Any]) -> None:
        left.append(seconds_until(only_delivery().lease_until))

    limits = {"default": of_queue}
    run(one_chunk(1, note, **options), limit_of=limits.__getitem__, timeout=forged)
    assert seconds - 10 < left[0] < seconds + 10


@pytest.mark.django_db(transaction=True)
def test_error_of_a_subscriber_that_lost_its_claim_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The relay has recorded a lost worker by then; what really happened must stand somewhere."""

    def loses(seen: Event[Any]) -> None:
        Delivery.objects.update(token=uuid4())
        raise RuntimeError("the gateway hung up")

    assert run(one_chunk(1, loses, atomic=False)) == 0
    assert statuses() == ["running"]
    [record] = [r for r in caplog.records if "claim was lost" in r.getMessage()]
    assert "error=the gateway hung up" in record.getMessage()
    assert record.exc_info
    assert record.exc_info[0] is RuntimeError


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_that_lost_its_claim_settles_nothing_and_starts_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def loses(seen: Event[Any]) -> None:
        if seen.data["number"] == 0:
            first = Delivery.objects.earliest("pk").pk
            Delivery.objects.filter(pk=first).update(token=uuid4())

    assert run(one_chunk(3, loses, atomic=False)) == 2
    assert statuses() == ["running", "succeeded", "succeeded"]
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert "claim was lost, nothing was changed" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_that_fails_without_its_claim_records_nothing() -> None:
    def loses(seen: Event[Any]) -> None:
        Delivery.objects.update(token=uuid4())
        raise RuntimeError

    assert run(one_chunk(2, loses, atomic=False)) == 0
    assert statuses() == ["running", "queued"]
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_next_that_an_operator_took_away_is_not_started() -> None:
    def cancels(seen: Event[Any]) -> None:
        if seen.data["number"] == 0:
            ids = list(Delivery.objects.order_by("pk").values_list("pk", flat=True))
            Delivery.objects.filter(pk=ids[1]).update(status=Status.DISCARDED)

    for atomic in (True, False):
        Delivery.objects.all().delete()
        OutboxEvent.objects.all().delete()
        assert run(one_chunk(3, cancels, atomic=atomic)) == 2
        assert statuses() == ["succeeded", "discarded", "succeeded"]
        registry.remove("t.sub")


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_that_leaves_autocommit_off_fails() -> None:
    """Else the acknowledgement would hang in a transaction that nobody commits."""

    def subscriber(seen: Event[Any]) -> None:
        transaction.set_autocommit(False)
        write(seen)

    assert run(one_chunk(2, subscriber, atomic=False)) == 0
    assert statuses() == ["pending", "pending"]
    assert "left autocommit off" in Attempt.objects.earliest("pk").error_text
    assert connection.get_autocommit()
    assert not Effect.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_bare_subscriber_whose_connection_dies_meanwhile_still_succeeds() -> None:
    """A firewall cuts what is idle: that is no reason to do a long job again."""

    def subscriber(seen: Event[Any]) -> None:
        cut_connection()

    assert run(one_chunk(2, subscriber, atomic=False)) == 2
    assert statuses() == ["succeeded", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_worker_whose_connection_died_while_it_was_idle_runs_the_chunk() -> None:
    """G2: after a failover, or a night behind a firewall."""
    chunk = one_chunk(2)
    cut_connection()
    assert run(chunk) == 2


@pytest.mark.django_db(transaction=True)
def test_connection_that_the_chunk_is_read_from_is_not_asked_whether_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A round trip, for which in quiet traffic each subscriber would wait."""
    chunk = one_chunk(1)
    asked: list[str] = []

    def is_usable() -> bool:
        asked.append(connection.alias)
        return True

    monkeypatch.setattr(connection, "is_usable", is_usable)
    assert run(chunk) == 1
    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_connection_that_dies_under_a_subscriber_is_a_failed_attempt() -> None:
    def subscriber(seen: Event[Any]) -> None:
        if seen.attempt == 1 and seen.data["number"] == 0:
            cut_connection()

    chunk = one_chunk(2, subscriber)
    assert run(chunk) == 1
    assert statuses() == ["pending", "succeeded"]
    assert Attempt.objects.count() == 1
