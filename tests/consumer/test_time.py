"""The time of a chunk and of an attempt, and what ends when it is over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from eda_django import Event, publish, subscribes
from eda_django.consumer import ChunkRun
from eda_django.models import Attempt, Delivery
from eda_django.relay import Relay
from tests.consumer.running import PROMPT, one_chunk, run
from tests.relaying import Recorder, in_threads, only_delivery, statuses, write
from tests.testapp.models import Effect

TIMED_OUT = "eda_django.exceptions.SubscriberTimeout"


@pytest.mark.django_db
def test_chunk_that_has_used_its_time_gives_the_rest_back() -> None:
    """G4: other jobs of the queue get their turn."""
    now = [0.0]

    def slow(seen: Event[Any]) -> None:
        now[0] += 6.0

    chunk = one_chunk(5, slow)
    run = ChunkRun(chunk.token, using="default", clock=lambda: now[0])
    assert run.run(chunk.delivery_ids) == 3
    assert statuses() == ["succeeded"] * 3 + ["pending"] * 2
    assert list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))[3:] == [0, 0]


@pytest.mark.django_db
def test_failed_attempt_tells_how_long_it_took() -> None:
    def linger(seen: Event[Any]) -> None:
        time.sleep(0.3)
        raise RuntimeError

    run(one_chunk(1, linger))
    attempt = Attempt.objects.get()
    assert 0.2 < (attempt.finished_at - attempt.started_at).total_seconds() < 60


@pytest.mark.django_db
def test_timeout_of_the_subscription_goes_before_that_of_the_queue() -> None:
    limits: list[float] = []

    def note(seen: Event[Any]) -> None:
        import signal

        limits.append(signal.getitimer(signal.ITIMER_REAL)[0])

    run(one_chunk(1, note, timeout=5000), limit_of=lambda queue: 900.0)
    subscribes("t.other", name="t.other")(note)
    with transaction.atomic():
        publish("t.other", {})
    transport = Recorder()
    Relay(transport=transport).drain()
    transport.work(timeout=900)
    assert 4900 < limits[0] <= 5000
    assert 800 < limits[1] <= 900


@pytest.mark.django_db(transaction=True)
def test_subscriber_that_takes_too_long_fails(django_db_blocker: Any) -> None:
    def spin(seen: Event[Any]) -> None:
        write(seen)
        while True:
            pass

    run(one_chunk(2, spin, timeout=0.1))
    assert statuses() == ["pending", "pending"]
    assert {a.error_class for a in Attempt.objects.all()} == {TIMED_OUT}
    texts = {a.error_text for a in Attempt.objects.all()}
    assert texts == {"Subscriber 't.sub' took longer than its timeout, 0.1 s."}
    assert not Effect.objects.exists()


SLEEPS = {
    "postgresql": "SELECT pg_sleep({})",
    "mysql": "SELECT SLEEP({})",
    # Up to ten million steps a second.
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}0000000)"
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
            cursor.execute(SLEEPS[connection.vendor].format(1 if _is_deaf() else 120))

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
