"""idempotency_key: the first event is found again, also by publishers at the same time."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from eda_django import (
    InvalidEvent,
    publish,
    publish_many,
)
from eda_django.models import OutboxEvent
from tests.outbox.publishing import (
    closing_connections,
    in_thread,
    placed,
    rolled_back,
    statements,
    texts,
)
from tests.testapp.events import Noted, OrderPlaced
from tests.testapp.models import Order

# idempotency_key


@pytest.mark.django_db(transaction=True)
def test_a_second_publish_with_the_key_returns_the_first_event_and_inserts_nothing():
    with transaction.atomic():
        first = publish(placed(), idempotency_key="order-1", key="k", headers={"a": 1})
    with transaction.atomic():
        again = publish(
            OrderPlaced("B-2", Decimal(1), timezone.now(), uuid4()), idempotency_key="order-1"
        )
    assert again == first
    assert OutboxEvent.objects.count() == 1


@pytest.mark.django_db
def test_a_second_publish_does_not_lock_the_first_event():
    """Relays pass over a locked event: it would wait for a transaction that may take long."""
    publish(Noted("a"), idempotency_key="k")
    with statements() as captured:
        publish(Noted("b"), idempotency_key="k")
    assert not any("FOR UPDATE" in query["sql"] for query in captured)


@pytest.mark.django_db
@pytest.mark.parametrize("key", [7, UUID(int=7), "seven"])
def test_an_idempotency_key_is_of_the_kinds_that_a_key_is(key: Any):
    first = publish(Noted("a"), idempotency_key=key)
    assert publish(Noted("b"), idempotency_key=str(key)).id == first.id


@pytest.mark.django_db
def test_another_event_type_may_have_the_same_idempotency_key():
    publish(Noted("a"), idempotency_key="k")
    publish("legacy.noted", {"text": "b"}, idempotency_key="k")
    assert texts() == ["a", "b"]


@pytest.mark.django_db
def test_events_without_an_idempotency_key_never_get_in_each_others_way():
    publish_many([Noted("a"), Noted("a")])
    publish(Noted("a"))
    assert texts() == ["a"] * 3


@pytest.mark.django_db(transaction=True)
def test_an_idempotency_key_is_free_again_when_its_savepoint_rolled_back():
    with transaction.atomic():
        with rolled_back():
            publish(Noted("lost"), idempotency_key="k")
        kept = publish(Noted("kept"), idempotency_key="k")
        assert publish(Noted("again"), idempotency_key="k").id == kept.id
    assert texts() == ["kept"]


@pytest.mark.django_db(transaction=True)
def test_a_second_publish_leaves_the_callers_transaction_usable():
    with transaction.atomic():
        publish(Noted("a"), idempotency_key="k")
    with transaction.atomic():
        publish(Noted("b"), idempotency_key="k")
        Order.objects.create(number="A-1")
    assert Order.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "second"), [("order-a", "order-A"), ("a", "a "), ("e", "é")])
def test_keys_that_a_database_takes_for_one_are_refused_not_mixed_up(first: str, second: str):
    publish(Noted("a"), idempotency_key=first)
    if connection.vendor != "mysql":
        publish(Noted("b"), idempotency_key=second)
        assert texts() == ["a", "b"]
        return
    with pytest.raises(InvalidEvent) as caught:
        publish(Noted("b"), idempotency_key=second)
    assert str(caught.value) == (
        f"Event 'testapp.noted': idempotency_key={second!r} is to this database the same as "
        f"{first!r}, which is taken; use another spelling."
    )
    assert texts() == ["a"]


@pytest.mark.django_db
def test_the_first_event_of_newer_code_is_returned_as_it_is():
    """G10: in a rolling deploy, older code must not fail for what newer code published."""
    first = publish(Noted("a"), idempotency_key="k")
    OutboxEvent.objects.update(version=2)
    again = publish(Noted("b"), idempotency_key="k")
    assert (again.id, again.version, again.data) == (first.id, 2, {"text": "a", "behave": ""})


@pytest.mark.django_db
def test_another_broken_constraint_is_not_taken_for_the_idempotency_key(
    monkeypatch: pytest.MonkeyPatch,
):
    taken = publish(Noted("a")).id
    monkeypatch.setattr("eda_django.outbox.uuid7", lambda: taken)
    with pytest.raises(IntegrityError, match="event_id"):
        publish(Noted("b"), idempotency_key="k")


# ... and at the same time


def publish_once(text: str) -> UUID:
    with transaction.atomic():
        return publish(Noted(text), idempotency_key="k").id


WAITING = {
    "postgresql": (
        "SELECT COUNT(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ),
    "mysql": (
        "SELECT COUNT(*) FROM information_schema.innodb_trx "
        "JOIN information_schema.processlist ON id = trx_mysql_thread_id "
        "WHERE db = DATABASE() AND trx_state = 'LOCK WAIT'"
    ),
    # Writers queue outside the transaction, where nobody can see them.
    "sqlite": "SELECT 2",
}


def wait_for_two_that_wait() -> None:
    deadline = time.monotonic() + 20
    while in_thread(_waiting) < 2:
        assert time.monotonic() < deadline
        # InnoDB shows a copy, and makes a new one only 0.1 s after the last look at the old one.
        time.sleep(0.25)


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_publishers_that_wait_for_the_first_get_its_event():
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            first = publish(Noted("first"), idempotency_key="k").id
            late = [pool.submit(closing_connections(lambda: publish_once("late"))) for _ in "12"]
            wait_for_two_that_wait()
        assert {answer.result(30) for answer in late} == {first}
    assert texts() == ["first"]


@pytest.mark.django_db(transaction=True)
def test_of_many_publishers_at_once_one_publishes():
    start = threading.Barrier(4)

    def race() -> UUID:
        start.wait(20)
        return publish_once("a")

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(closing_connections(race)) for _ in range(4)]
        assert len({answer.result(30) for answer in answers}) == 1
    assert texts() == ["a"]


@pytest.mark.django_db(transaction=True)
def test_a_publisher_that_waited_for_one_that_rolled_back_publishes_itself():
    with ThreadPoolExecutor(1) as pool:
        with rolled_back():
            publish(Noted("first"), idempotency_key="k")
            second = pool.submit(closing_connections(lambda: publish_once("second")))
        second.result(30)
    assert texts() == ["second"]


@contextmanager
def repeatable_read() -> Iterator[None]:
    """Open a transaction that has read already, and from now on reads the same."""
    begin = {
        "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    }[connection.vendor]
    try:
        if connection.vendor == "mysql":
            with connection.cursor() as cursor:
                cursor.execute(begin)
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(begin)
            assert not OutboxEvent.objects.exists()
            yield
    finally:
        # The next test gets a session with the isolation level of the settings.
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_under_repeatable_read_an_event_that_came_meanwhile_is_found_or_the_reason_told():
    if connection.vendor == "sqlite":
        # One writer at a time: nothing can come meanwhile.
        first = publish_once("first")
        with transaction.atomic():
            assert publish(Noted("second"), idempotency_key="k").id == first
    elif connection.vendor == "mysql":
        with repeatable_read():
            first = in_thread(lambda: publish_once("first"))
            assert publish(Noted("second"), idempotency_key="k").id == first
    else:
        text = (
            "Event 'testapp.noted': idempotency_key='k' was taken after this transaction began, "
            "and its isolation level hides by which event. Run it again."
        )
        with repeatable_read():
            in_thread(lambda: publish_once("first"))
            with pytest.raises(OperationalError, match=f"^{re.escape(text)}$"):
                publish(Noted("second"), idempotency_key="k")
    assert texts() == ["first"]
