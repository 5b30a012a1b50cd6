"""What a worker does with a chunk: each delivery in a transaction, fenced on the claim."""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    connection,
    transaction,
)
from django.utils import timezone

from eda_django import Discard, Event, Retry, RetryLater, event, publish, signals, subscribes
from eda_django.chunks import Chunk
from eda_django.consumer import NO_TIMEOUT, UNKNOWN_SUBSCRIBER, ChunkRun, consume
from eda_django.models import Attempt, Delivery, OutboxEvent, RelayHeartbeat, Status
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from eda_django.verdicts import UNDECODABLE
from tests.relaying import (
    HAPPENED,
    Recorder,
    Statements,
    cut_connection,
    happen,
    in_threads,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    seconds_until,
    statuses,
    write,
)
from tests.testapp.models import Effect, Order

PROMPT = Retry(max_attempts=3, base=0.0)
TIMED_OUT = "eda_django.exceptions.SubscriberTimeout"


def one_chunk(count: int, subscriber: Callable[[Event[Any]], Any] = write, **options: Any) -> Chunk:
    """Return a chunk of so many deliveries: all under one claim, as under backlog."""
    on_happened(subscriber, **options)
    transport = relayed(count)
    chunk = Chunk(
        token=uuid4(), subscriber="t.sub", queue="default", delivery_ids=tuple(transport.ids)
    )
    Delivery.objects.update(token=chunk.token)
    return chunk


def run(chunk: Chunk, **options: Any) -> int:
    return consume(chunk.delivery_ids, token=chunk.token.hex, **options)


def fails_for(*numbers: int, error: type[BaseException] = RuntimeError) -> Any:
    """Return a subscriber that writes, and then fails for these events."""

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        if seen.data["number"] in numbers:
            raise error(f"event {seen.data['number']} fails")

    return subscriber


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


# Success


@pytest.mark.django_db
def test_every_delivery_of_a_chunk_runs_once_and_is_settled() -> None:
    """G3."""
    chunk = one_chunk(5)
    assert run(chunk) == 5
    assert statuses() == ["succeeded"] * 5
    for row in Delivery.objects.all():
        assert (row.attempts, row.lease_until) == (1, None)
        assert seconds_until(row.started_at) <= seconds_until(row.finished_at) + 1
    assert sorted(Effect.objects.values_list("event_id")) == sorted(
        OutboxEvent.objects.values_list("event_id")
    )


@pytest.mark.django_db
def test_deliveries_run_in_the_order_of_their_events() -> None:
    seen: list[int] = []
    chunk = one_chunk(6, lambda event: seen.append(event.data["number"]))
    consume(list(reversed(chunk.delivery_ids)), token=chunk.token.hex)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.django_db
def test_second_copy_of_a_job_does_nothing() -> None:
    """G3: RQ may run a job again that was settled long ago."""
    chunk = one_chunk(3)
    assert [run(chunk), run(chunk)] == [3, 0]
    assert Effect.objects.count() == 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db
def test_chunk_under_a_lost_claim_is_passed_over() -> None:
    chunk = one_chunk(3)
    Delivery.objects.update(token=uuid4())
    assert run(chunk) == 0
    assert statuses() == ["queued"] * 3
    assert not Effect.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_job_share_it_without_a_double() -> None:
    """G3: every start is one guarded statement, so that only one of them makes it."""
    chunk = one_chunk(20)
    done = in_threads(lambda: run(chunk), lambda: run(chunk))
    assert sum(done) == 20
    assert Effect.objects.count() == len(set(Effect.objects.values_list("event_id"))) == 20
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"delivery_ids": ["x"]}, {"token": "no uuid"}])
def test_arguments_that_no_relay_pushed_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no id of a delivery|must be a UUID"):
        consume(**{"delivery_ids": [1], "token": uuid4().hex, **wrong})


@pytest.mark.django_db
def test_subscriber_gets_the_envelope_with_the_attempt() -> None:
    seen: list[Event[Any]] = []
    chunk = one_chunk(1, seen.append)
    Delivery.objects.update(attempts=4)
    run(chunk)
    row = OutboxEvent.objects.get()
    assert (seen[0].id, seen[0].attempt, seen[0].data) == (row.event_id, 5, {"number": 0})


@pytest.mark.django_db
def test_receivers_see_the_delivery_as_it_is_now() -> None:
    told: list[str] = []

    def receive(*, delivery: Delivery, **_: Any) -> None:
        told.append(delivery.status)

    outcomes = (signals.delivery_succeeded, signals.delivery_failed)
    for signal in outcomes:
        signal.connect(receive)
    try:
        run(one_chunk(2, fails_for(1)))
    finally:
        for signal in outcomes:
            signal.disconnect(receive)
    assert told == ["succeeded", "pending"]


@pytest.mark.django_db
def test_receiver_that_fails_changes_nothing() -> None:
    def receive(**_: Any) -> None:
        raise RuntimeError("a receiver's own")

    signals.delivery_succeeded.connect(receive)
    try:
        assert run(one_chunk(2)) == 2
    finally:
        signals.delivery_succeeded.disconnect(receive)


# Cost


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 10, 25])
def test_chunk_costs_three_statements_a_delivery_and_two_more(count: int) -> None:
    """One locks, one is the subscriber's, one settles and starts the next."""
    chunk = one_chunk(count)
    with Statements() as captured:
        assert run(chunk) == count
    assert len(captured.texts) == 2 + 3 * count


# Failure


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
    assert "4111" not in Attempt.objects.get().traceback
    assert "4111" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_start_that_the_database_refuses_gives_everything_back() -> None:
    """G2: a deadlock in the first statement must not cost a lease."""
    chunk = one_chunk(3)
    with (
        failing_statement(
            'SET "status"' if connection.vendor != "mysql" else "SET `status`",
            OperationalError("deadlock"),
        ),
        pytest.raises(OperationalError),
    ):
        run(chunk)
    assert statuses() == ["pending"] * 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


# Newer and older code


@pytest.mark.django_db
def test_unknown_subscriber_waits_for_newer_code(caplog: pytest.LogCaptureFixture) -> None:
    """G10: no attempt burns, the reason can be seen."""
    chunk = one_chunk(3)
    registry.remove("t.sub")
    with Statements() as captured, caplog.at_level(logging.INFO, "eda_django"):
        assert run(chunk) == 0
    assert len(captured.texts) == 2
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
    OutboxEvent.objects.update(time=timezone.now() - timedelta(minutes=20))
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


# Time


@pytest.mark.django_db
def test_chunk_that_has_used_its_time_gives_the_rest_back() -> None:
    """G4: other jobs of the queue get their turn."""
    now = [0.0]

    def slow(seen: Event[Any]) -> None:
        now[0] += 6.0

    chunk = one_chunk(5, slow)
    run = ChunkRun(chunk.token, using="default", timeout=None, clock=lambda: now[0])
    assert run.run(chunk.delivery_ids) == 3
    assert statuses() == ["succeeded"] * 3 + ["pending"] * 2
    assert list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))[3:] == [0, 0]


@pytest.mark.django_db
def test_timeout_of_the_subscription_goes_before_that_of_the_job() -> None:
    limits: list[float] = []

    def note(seen: Event[Any]) -> None:
        import signal

        limits.append(signal.getitimer(signal.ITIMER_REAL)[0])

    run(one_chunk(1, note, timeout=50), timeout=9)
    subscribes("t.other", name="t.other")(note)
    with transaction.atomic():
        publish("t.other", {})
    transport = Recorder()
    Relay(transport=transport).drain()
    transport.work(timeout=9)
    assert 49 < limits[0] <= 50
    assert 8 < limits[1] <= 9


@pytest.mark.django_db(transaction=True)
def test_subscriber_that_takes_too_long_fails(django_db_blocker: Any) -> None:
    def spin(seen: Event[Any]) -> None:
        write(seen)
        while True:
            pass

    run(one_chunk(2, spin, timeout=0.1))
    assert statuses() == ["pending", "pending"]
    assert {a.error_class for a in Attempt.objects.all()} == {TIMED_OUT}
    assert not Effect.objects.exists()


SLEEPS = {
    "postgresql": "SELECT pg_sleep({})",
    "mysql": "SELECT SLEEP({})",
    # A few million steps a second.
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}000000)"
    " SELECT COUNT(*) FROM n",
}


def _is_deaf() -> bool:
    """Tell whether the driver waits in C, so that an alarm is heard only after the statement."""
    driver: Any = connection
    return driver.Database.__name__ in ("sqlite3.dbapi2", "MySQLdb")


@pytest.mark.django_db(transaction=True)
def test_statement_that_runs_into_the_timeout_does_not_keep_the_row() -> None:
    """The failure is recorded, if the driver can be interrupted in the middle of a statement."""

    def wait(seen: Event[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SLEEPS[connection.vendor].format(2 if _is_deaf() else 120))

    chunk = one_chunk(1, wait, timeout=0.3)
    started = timezone.now()
    run(chunk)
    took = (timezone.now() - started).total_seconds()
    [failed] = Attempt.objects.all()
    assert (only_delivery().status, failed.error_class) == ("pending", TIMED_OUT)
    # Far from both ends: a minute would do for the slowest machine, the statement takes two.
    assert took < 60


class Alarm(BaseException):
    """RQ's alarm, which may come anywhere."""


@contextmanager
def alarm_in(place: str) -> Iterator[None]:
    """Have an alarm come in the first BEGIN, before or after Django takes note of it."""
    begin = "_start_transaction_under_autocommit" if connection.vendor == "sqlite" else ""
    owner, name = {
        "the BEGIN": (connection, begin or "_set_autocommit"),
        "the block": (transaction.Atomic, "__enter__"),
    }[place]
    original = getattr(owner, name)
    is_due = True

    def interrupted(*args: Any) -> Any:
        nonlocal is_due
        original(*args)
        if is_due:
            is_due = False
            raise Alarm

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", ["the BEGIN", "the block"])
def test_alarm_in_the_middle_of_a_begin_leaves_no_transaction_open(place: str) -> None:
    """G2, G3: what comes after it would be part of that transaction, and never committed."""
    chunk = one_chunk(3, retry=PROMPT)
    with alarm_in(place):
        run(chunk)
    assert not connection.in_atomic_block
    assert in_threads(statuses) == [["pending", "succeeded", "succeeded"]]
    assert in_threads(Effect.objects.count) == [2]
    [failed] = Attempt.objects.all()
    assert failed.error_class.endswith(".Alarm")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_alarm_in_a_begin_on_another_database_leaves_no_transaction_open_there() -> None:
    def begin_elsewhere(seen: Event[Any]) -> None:
        transaction.atomic(using="other").__enter__()
        raise Alarm

    run(one_chunk(1, begin_elsewhere))
    assert statuses() == ["pending"]
    assert not transaction.get_connection("other").in_atomic_block


# Transactions


def _swallow(seen: Event[Any]) -> None:
    """Write, provoke an error of the database, and go on as if nothing had been."""
    write(seen)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM testapp_order")
    except DatabaseError:
        pass


@pytest.mark.django_db(transaction=True)
def test_subscriber_that_swallows_a_database_error_is_not_lost() -> None:
    """G3: on PostgreSQL such a transaction can't be committed any more; elsewhere it can."""
    assert run(one_chunk(3, _swallow)) == (0 if connection.vendor == "postgresql" else 3)
    expected = "pending" if connection.vendor == "postgresql" else "succeeded"
    assert statuses() == [expected] * 3
    assert Effect.objects.count() == Delivery.objects.filter(status="succeeded").count()


def _orm_swallow(seen: Event[Any]) -> None:
    write(seen)
    row = Order(number="x")
    row.save()
    with suppress(IntegrityError):
        Order(pk=row.pk, number="y").save(force_insert=True)


def _roll_back(seen: Event[Any]) -> None:
    write(seen)
    transaction.set_rollback(True)


def _commit(seen: Event[Any]) -> None:
    write(seen)
    transaction.commit()


def _close(seen: Event[Any]) -> None:
    write(seen)
    connection.close()


def _close_old(seen: Event[Any]) -> None:
    from django.db import close_old_connections

    write(seen)
    close_old_connections()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("misuse", [_orm_swallow, _roll_back, _commit, _close, _close_old])
def test_subscriber_that_breaks_its_transaction_fails_and_leaves_nothing(misuse: Any) -> None:
    """G3: its writes and the acknowledgement go together, or neither goes."""
    assert run(one_chunk(2, misuse)) == 0
    assert statuses() == ["pending", "pending"]
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert Attempt.objects.count() == 2
    assert not Effect.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_subscriber_may_nest_transactions() -> None:
    def nest(seen: Event[Any]) -> None:
        write(seen)
        try:
            with transaction.atomic():
                Order.objects.create(number="rolled back")
                raise LookupError
        except LookupError:
            pass

    assert run(one_chunk(2, nest)) == 2
    assert Effect.objects.count() == 2
    assert not Order.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_subscriber_may_write_to_another_database() -> None:
    def elsewhere(seen: Event[Any]) -> None:
        Order.objects.using("other").create(number=str(seen.attempt))

    assert run(one_chunk(2, elsewhere)) == 2
    assert Order.objects.using("other").count() == 2


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_deliveries_of_another_database_are_settled_there() -> None:
    """G12."""
    on_happened(write)
    happen(3, using="other")
    transport = Recorder()
    Relay(using="other", transport=transport).drain()
    assert transport.work(using="other") == 3
    found = Delivery.objects.using("other").values_list("status", flat=True)
    assert list(found) == ["succeeded"] * 3
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_hook_that_fails_after_the_commit_is_logged_and_the_chunk_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hook() -> None:
        raise RuntimeError("the mail server is away")

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        transaction.on_commit(hook)

    assert run(one_chunk(3, subscriber)) == 3
    assert statuses() == ["succeeded"] * 3
    assert not Attempt.objects.exists()
    assert caplog.text.count("error after the commit") == 3
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db
def test_claim_that_is_lost_while_the_subscriber_runs_takes_its_writes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """G3: without its claim a worker changes nothing."""

    def loses(seen: Event[Any]) -> None:
        write(seen)
        if seen.data["number"] == 0:
            first = Delivery.objects.earliest("pk").pk
            Delivery.objects.filter(pk=first).update(token=uuid4())

    assert run(one_chunk(3, loses)) == 2
    assert statuses() == ["running", "succeeded", "succeeded"]
    assert Effect.objects.count() == 2
    assert "claim was lost, nothing was changed" in caplog.text


@row_locks
@pytest.mark.django_db(transaction=True)
def test_row_is_locked_while_its_subscriber_runs() -> None:
    """G3: so a relay knows a slow subscriber from a dead one."""
    seen: list[int] = []

    def slow(event: Event[Any]) -> None:
        def look() -> None:
            with transaction.atomic():
                seen.append(len(Delivery.objects.lock_lapsed_running(10)))

        in_threads(look)

    chunk = one_chunk(1, slow)
    lapsed = ChunkRun(chunk.token, using="default", timeout=None)
    lapsed._lease = lambda subscription: -1.0  # type: ignore[method-assign]
    assert lapsed.run(chunk.delivery_ids) == 1
    assert seen == [0]


@row_locks
@pytest.mark.django_db(transaction=True)
def test_deadlock_that_is_swallowed_fails_the_attempt() -> None:
    """G3: InnoDB has then rolled back what the subscriber wrote before; the others, nothing.

    Two transactions lock two rows crosswise. Whoever is told of the deadlock goes on as if
    nothing had been; what it wrote may be acknowledged only if it is really there.
    """
    first, second = (Order.objects.create(number=n) for n in "ab")
    met = threading.Barrier(2)

    def lock(pk: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM testapp_order WHERE id = %s FOR UPDATE", [pk])

    def subscriber(seen: Event[Any]) -> None:
        if seen.attempt > 1:
            return
        write(seen)
        lock(first.pk)
        met.wait(10)
        with suppress(OperationalError):
            lock(second.pk)
        write(seen)

    def other() -> None:
        with transaction.atomic():
            # InnoDB rolls back the transaction that has changed the fewest rows.
            Order.objects.bulk_create([Order(number="ballast") for _ in range(50)])
            lock(second.pk)
            met.wait(10)
            lock(first.pk)

    chunk = one_chunk(1, subscriber)

    def losing() -> bool:
        try:
            other()
        except OperationalError:
            return True
        return False

    done, other_lost = in_threads(lambda: run(chunk), losing)
    assert Effect.objects.count() == (2 if done else 0)
    if connection.vendor == "mysql":
        assert not other_lost
        assert (done, only_delivery().status) == (0, "pending")


# Without a transaction


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
@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"atomic": True, "timeout": 600}, 30),
        ({"atomic": False, "timeout": 600}, 630),
        ({"atomic": False}, 30 + NO_TIMEOUT),
    ],
)
def test_lease_of_what_runs_lasts_as_long_as_it_may_run(
    options: dict[str, Any], seconds: float
) -> None:
    """Without a row lock, only time can tell that a worker is dead."""
    left: list[float] = []

    def note(seen: Event[Any]) -> None:
        left.append(seconds_until(only_delivery().lease_until))

    run(one_chunk(1, note, **options))
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
def test_connection_that_dies_under_a_subscriber_is_a_failed_attempt() -> None:
    def subscriber(seen: Event[Any]) -> None:
        if seen.attempt == 1 and seen.data["number"] == 0:
            cut_connection()

    chunk = one_chunk(2, subscriber)
    assert run(chunk) == 1
    assert statuses() == ["pending", "succeeded"]
    assert Attempt.objects.count() == 1


# Async, and what events cause


@pytest.mark.django_db(transaction=True)
def test_async_subscriber_writes_in_the_transaction() -> None:
    """G3: also for `async def`."""

    async def subscriber(seen: Event[Any]) -> None:
        await Effect.objects.acreate(subscriber="t", event_id=seen.id, attempt=seen.attempt)
        if seen.data["number"] == 1:
            raise RuntimeError

    assert run(one_chunk(3, subscriber)) == 2
    assert Effect.objects.count() == 2


@pytest.mark.django_db
def test_async_subscriber_that_takes_too_long_fails() -> None:
    async def subscriber(seen: Event[Any]) -> None:
        await asyncio.Event().wait()

    run(one_chunk(1, subscriber, timeout=0.05))
    assert only_delivery().error_text == (
        "Subscriber 't.sub' took longer than its timeout, 0.05 s."
    )


@pytest.mark.django_db
def test_timeout_of_an_async_subscribers_own_is_its_own_error() -> None:
    async def subscriber(seen: Event[Any]) -> None:
        raise TimeoutError("the bank did not answer")

    run(one_chunk(1, subscriber, timeout=30))
    row = only_delivery()
    assert (row.error_class, row.error_text) == ("TimeoutError", "the bank did not answer")


@pytest.mark.django_db
def test_what_a_subscriber_publishes_is_caused_by_its_event() -> None:
    def subscriber(seen: Event[Any]) -> None:
        publish("t.followed", {})

    run(one_chunk(1, subscriber))
    first, second = OutboxEvent.objects.order_by("pk")
    assert second.causation_id == first.event_id
    assert second.correlation_id == first.correlation_id
    with transaction.atomic():
        third = publish("t.unrelated", {})
    assert third.causation_id is None


@pytest.mark.django_db(transaction=True)
def test_heartbeats_are_no_business_of_the_consumer() -> None:
    """SQLite's write lock is taken with a statement that changes no row."""
    RelayHeartbeat.objects.beat("a", hostname="h", pid=1, version="1")
    before = RelayHeartbeat.objects.values().get()
    run(one_chunk(1))
    assert RelayHeartbeat.objects.values().get() == before


@pytest.mark.django_db
def test_lapsed_lease_alone_takes_nothing_from_the_worker() -> None:
    """G3: only another claim does."""
    chunk = one_chunk(2)
    Delivery.objects.update(lease_until=after(-100))
    assert run(chunk) == 2
