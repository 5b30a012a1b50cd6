"""Each delivery in a transaction, whatever its subscriber does to that."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from eda_django import Event
from eda_django.exceptions import RefusedJob
from eda_django.models import Attempt, Delivery
from eda_django.relay import Relay
from tests.consumer.running import one_chunk, run
from tests.databases import set_up, vendor
from tests.relaying import (
    Recorder,
    happen,
    in_threads,
    on_happened,
    only_delivery,
    row_locks,
    statuses,
    write,
)
from tests.testapp.models import Effect, Order


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


@pytest.mark.django_db(transaction=True)
def test_subscriber_does_not_run_where_nothing_would_be_committed() -> None:
    """G3: what it wrote would be lost, and it would run again after every lease."""
    seen: list[Event[Any]] = []
    chunk = one_chunk(2, seen.append)
    with (
        set_up(AUTOCOMMIT=False),
        pytest.raises(
            RefusedJob, match=r"'default', whose AUTOCOMMIT is off in settings.DATABASES"
        ),
    ):
        run(chunk)
    assert seen == []
    assert statuses() == ["queued"] * 2


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


@pytest.fixture
def rolling_back() -> Iterator[None]:
    """Make a table by whose constraint SQLite rolls back the whole transaction."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE rolling_back (id integer PRIMARY KEY ON CONFLICT ROLLBACK)")
        cursor.execute("INSERT INTO rolling_back VALUES (1)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE rolling_back")


def _clash() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO rolling_back VALUES (1)")


@pytest.mark.skipif(vendor() != "sqlite", reason="Only SQLite lets a table say that.")
@pytest.mark.usefixtures("rolling_back")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("block", [nullcontext, transaction.atomic])
@pytest.mark.parametrize("goes_on", [True, False])
def test_rollback_by_sqlite_itself_that_is_swallowed_fails_the_attempt(
    block: Any, goes_on: bool
) -> None:
    """G3: what the subscriber wrote before is gone; what it writes after must not stay."""

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        with suppress(IntegrityError), block():
            _clash()
        if goes_on:
            with suppress(DatabaseError):
                Order.objects.create(number="after")

    assert run(one_chunk(2, subscriber)) == 0
    assert statuses() == ["pending"] * 2
    assert Attempt.objects.count() == 2
    assert not Effect.objects.exists()
    assert not Order.objects.exists()


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


@pytest.mark.django_db(transaction=True)
def test_subscriber_that_commits_by_hand_is_done() -> None:
    """To try it again would repeat what it has committed."""

    def subscriber(seen: Event[Any]) -> None:
        write(seen)
        raw: Any = connection.connection
        raw.commit()

    assert run(one_chunk(2, subscriber)) == 2
    assert statuses() == ["succeeded"] * 2
    assert Effect.objects.count() == 2
