"""What becomes of an attempt that fails: it is kept, tried again, dropped, or dead."""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import (
    DataError,
    OperationalError,
    connection,
)

from eda_django import Discard, Event, Retry, RetryLater, signals
from eda_django.models import Attempt, Delivery
from eda_django.models.status import UNDECODABLE, UNKNOWN_SUBSCRIBER
from eda_django.relay import Relay
from eda_django.verdicts import LATE
from tests.consumer.running import PROMPT, fails_for, one_chunk, run
from tests.relaying import (
    Recorder,
    on_happened,
    only_delivery,
    relayed,
    seconds_until,
    statuses,
    write,
)
from tests.testapp.models import Effect


@contextmanager
def failing_statement(beginning: str, error: Exception, times: int = 1) -> Iterator[list[str]]:
    """Have the database answer statements that begin so with an error."""
    met: list[str] = []

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if beginning in sql and len(met) < times:
            met.append(sql)
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        yield met


@pytest.mark.django_db(transaction=True)
def test_failed_attempt_leaves_no_effect_and_is_kept() -> None:
    """G3: what a subscriber wrote goes with its failure."""
    chunk = one_chunk(1, fails_for(0))
    assert run(chunk) == 0
    assert not Effect.objects.exists()
    row = only_delivery()
    assert (row.status, row.attempts, row.token) == ("pending", 1, None)
    assert (row.error_class, row.error_text) == ("RuntimeError", "event 0 fails")
    assert seconds_until(row.due_at) > 0
    attempt = Attempt.objects.get()
    assert (attempt.delivery_id, attempt.number) == (row.pk, 1)
    assert (attempt.error_class, attempt.error_text) == ("RuntimeError", "event 0 fails")
    assert "in subscriber" in attempt.traceback
    assert seconds_until(attempt.started_at) < seconds_until(attempt.finished_at) + 1
    assert ":" in attempt.worker
    assert str(attempt) == "attempt 1: RuntimeError"


@pytest.mark.django_db
def test_failing_delivery_delays_none_of_its_chunk() -> None:
    """G4."""
    chunk = one_chunk(6, fails_for(0, 2, 5))
    assert run(chunk) == 3
    expected = ["pending", "succeeded", "pending", "succeeded", "succeeded", "pending"]
    assert statuses() == expected
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert Effect.objects.count() == 3


@pytest.mark.django_db
def test_delivery_out_of_attempts_is_dead_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    """G4: an ERROR with the exception, so that Sentry and others see it."""
    chunk = one_chunk(1, fails_for(0), retry=PROMPT)
    Delivery.objects.update(attempts=2)
    with caplog.at_level(logging.WARNING, "eda_django"):
        run(chunk)
    row = only_delivery()
    assert (row.status, row.attempts) == ("dead", 3)
    assert row.finished_at is not None
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert caplog.records[0].exc_info is not None


@pytest.mark.django_db
def test_attempt_has_ended_before_the_delivery_is_dead() -> None:
    """So that they stand in this order when they are told by their times."""
    run(one_chunk(1, fails_for(0), retry=Retry(max_attempts=1)))
    row = only_delivery()
    assert row.status == "dead"
    assert Attempt.objects.get().finished_at <= row.finished_at


@pytest.mark.django_db
def test_last_attempt_but_one_is_retried(caplog: pytest.LogCaptureFixture) -> None:
    chunk = one_chunk(1, fails_for(0), retry=PROMPT)
    Delivery.objects.update(attempts=1)
    with caplog.at_level(logging.WARNING, "eda_django"):
        run(chunk)
    assert (only_delivery().status, only_delivery().attempts) == ("pending", 2)
    assert [r.levelname for r in caplog.records] == ["WARNING"]


@pytest.mark.django_db
def test_backoff_grows_with_the_attempts() -> None:
    chunk = one_chunk(1, fails_for(0), retry=Retry(base=100.0, factor=2.0, jitter=0.0))
    Delivery.objects.update(attempts=2)
    run(chunk)
    wait = seconds_until(only_delivery().due_at)
    assert 390 < wait < 410


@pytest.mark.django_db
def test_discard_drops_the_delivery_and_its_writes() -> None:
    chunk = one_chunk(1, fails_for(0, error=Discard))
    assert run(chunk) == 0
    row = only_delivery()
    assert (row.status, row.error_text) == ("discarded", "event 0 fails")
    assert row.finished_at is not None
    assert not Effect.objects.exists()
    assert not Attempt.objects.exists()


@pytest.mark.django_db
def test_discard_without_a_reason_has_one() -> None:
    def drop(seen: Event[Any]) -> None:
        raise Discard

    run(one_chunk(1, drop))
    assert only_delivery().error_text == "discarded by the subscriber"


@pytest.mark.django_db
def test_retry_later_gives_the_attempt_back() -> None:
    def later(seen: Event[Any]) -> None:
        write(seen)
        raise RetryLater(600, "the bank is closed")

    chunk = one_chunk(1, later, retry=Retry(max_attempts=1))
    run(chunk)
    row = only_delivery()
    assert (row.status, row.attempts, row.error_text) == ("pending", 0, "the bank is closed")
    assert 590 < seconds_until(row.due_at) < 610
    assert not Effect.objects.exists()
    assert not Attempt.objects.exists()


@pytest.mark.django_db
def test_relay_that_starts_does_not_cut_short_what_was_deferred() -> None:
    """Even if the delivery once waited for newer code."""

    def later(seen: Event[Any]) -> None:
        raise RetryLater(600)

    chunk = one_chunk(1, later)
    Delivery.objects.update(error_class=UNKNOWN_SUBSCRIBER)
    run(chunk)
    Relay(transport=Recorder()).retry_known()
    assert seconds_until(only_delivery().due_at) > 500


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [UNKNOWN_SUBSCRIBER, UNDECODABLE])
def test_relay_that_starts_lets_go_what_waited_for_newer_code(kind: str) -> None:
    """However long a pause it was given."""
    chunk = one_chunk(1, lambda event: None)
    Delivery.objects.put_aside(chunk.token, chunk.delivery_ids, kind=kind, reason="r", seconds=LATE)
    Relay(transport=Recorder()).retry_known()
    assert seconds_until(only_delivery().due_at) <= 0


@pytest.mark.django_db
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exit_is_recorded_and_the_neighbours_go_back(error: type[BaseException]) -> None:
    """G4: a subscriber that ends its process costs its neighbours no attempt."""
    rung: list[str] = []

    def receive(*, using: str, **_: Any) -> None:
        rung.append(using)

    chunk = one_chunk(3, fails_for(1, error=error))
    signals.deliveries_released.connect(receive)
    try:
        with pytest.raises(error):
            run(chunk)
    finally:
        signals.deliveries_released.disconnect(receive)
    assert statuses() == ["succeeded", "pending", "pending"]
    assert list(Delivery.objects.order_by("pk").values_list("attempts", flat=True)) == [1, 1, 0]
    assert Attempt.objects.get().error_class == error.__name__
    assert rung == ["default"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "args"),
    [
        (SystemExit("card 4111"), (1,)),
        (SystemExit(3), (3,)),
        (SystemExit(), (None,)),
        (KeyboardInterrupt("card 4111"), ()),
    ],
)
def test_order_to_end_reaches_rq_without_its_words(error: BaseException, args: tuple[Any]) -> None:
    """G9: RQ keeps in Redis what an exception says that ends a job."""

    def leave(seen: Event[Any]) -> None:
        raise error

    with pytest.raises(type(error)) as met:
        run(one_chunk(1, leave))
    assert met.value.args == args
    assert "4111" not in "".join(traceback.format_exception(met.value))
    assert Attempt.objects.get().error_text == str(error)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_other_base_exceptions_are_failures_like_any(error: type[BaseException]) -> None:
    """They are no order to end the process, and must not end a relay that runs inline."""
    assert run(one_chunk(3, fails_for(1, error=error))) == 2
    assert statuses() == ["succeeded", "pending", "succeeded"]


@pytest.mark.django_db
def test_failure_with_a_nul_byte_is_recorded_and_ends_as_a_dead_letter() -> None:
    """G4: PostgreSQL takes none, so that it was never recorded elsewhere, and tried for ever."""

    def fail(seen: Event[Any]) -> None:
        raise ValueError("before\x00after")

    run(one_chunk(1, fail, retry=Retry(max_attempts=1)))
    assert statuses() == ["dead"]
    kept = Attempt.objects.get()
    for text in (kept.error_text, kept.traceback, only_delivery().error_text):
        assert "\x00" not in text
        assert "before" in text
        assert "after" in text


@pytest.mark.django_db
def test_exception_that_breaks_the_database_text_is_recorded() -> None:
    """G4: whatever the text holds."""

    class Odd(Exception):
        def __str__(self) -> str:
            return "\x00\ud800" + "x" * 100_000

    def fail(seen: Event[Any]) -> None:
        raise Odd

    run(one_chunk(1, fail))
    row = only_delivery()
    assert (row.status, row.attempts) == ("pending", 1)
    assert "\x00" not in row.error_text
    assert Attempt.objects.get().error_text.endswith("chars)")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [DataError("no such letter"), OperationalError("deadlock")])
def test_failure_that_can_not_be_stored_is_stored_in_plain_letters(error: Exception) -> None:
    """G4: in a database of another character set, or after a deadlock."""

    def fail(seen: Event[Any]) -> None:
        raise LookupError("Größe fehlt")

    chunk = one_chunk(2, fail)
    with failing_statement("INSERT INTO", error) as met:
        run(chunk)
    assert len(met) == 1
    assert statuses() == ["pending", "pending"]
    first, second = Attempt.objects.order_by("pk")
    assert first.error_text == "Gr\\xf6\\xdfe fehlt"
    assert second.error_text == "Größe fehlt"
    assert Delivery.objects.order_by("pk")[0].error_text == "Gr\\xf6\\xdfe fehlt"


@pytest.mark.django_db
def test_redacted_values_stay_out_of_errors_and_logs(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G9."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "REDACT": ["card"]}

    def fail(seen: Event[Any]) -> None:
        raise ValueError(f"card {seen.data['card']} is no good")

    on_happened(fail)
    with caplog.at_level(logging.DEBUG):
        relayed(card="4111-1111").work()
    row = only_delivery()
    assert row.error_text == "card *** is no good"
    assert "4111-" not in Attempt.objects.get().traceback
    assert "4111-" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_start_that_the_database_refuses_gives_everything_back() -> None:
    """G2: a deadlock in the first statement must not cost a lease."""
    chunk = one_chunk(3)
    with (
        failing_statement("status = 'running'", OperationalError("deadlock")),
        pytest.raises(OperationalError),
    ):
        run(chunk)
    assert statuses() == ["pending"] * 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}
