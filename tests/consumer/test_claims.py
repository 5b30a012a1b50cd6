"""A chunk is fenced on its claim: a copy of the job, or one that comes late, changes nothing."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import InterfaceError, transaction

from eda_django import Event
from eda_django.consumer import ChunkRun, consume
from eda_django.execution import Execution
from eda_django.models import Delivery
from eda_django.models.clock import after
from eda_django.models.verbs import DeliveryQuerySet
from tests.consumer.running import one_chunk, run
from tests.relaying import in_threads, row_locks, seconds_until, statuses, write
from tests.testapp.models import Effect


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


@pytest.mark.django_db
def test_chunk_whose_reading_fails_once_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection may have died since the chunk before."""
    chunk = one_chunk(3)
    Delivery.objects.filter(pk=chunk.delivery_ids[2]).update(token=uuid4())
    read, readings = DeliveryQuerySet.startable, []

    def breaking(rows: Any, *args: Any, **options: Any) -> list[Delivery]:
        readings.append(args)
        if len(readings) == 1:
            raise InterfaceError("connection already closed")
        return read(rows, *args, **options)

    monkeypatch.setattr(DeliveryQuerySet, "startable", breaking)
    assert run(chunk) == 2
    assert len(readings) == 2


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
def test_row_is_locked_while_its_subscriber_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """G3: so a relay knows a slow subscriber from a dead one."""
    seen: list[int] = []

    def slow(event: Event[Any]) -> None:
        def look() -> None:
            with transaction.atomic():
                seen.append(len(Delivery.objects.lock_lapsed_running(10)))

        in_threads(look)

    chunk = one_chunk(1, slow)
    lapsed = ChunkRun(chunk.token, using="default")
    monkeypatch.setattr(Execution, "lease", -1.0)
    assert lapsed.run(chunk.delivery_ids) == 1
    assert seen == [0]


@pytest.mark.django_db
def test_lapsed_lease_alone_takes_nothing_from_the_worker() -> None:
    """G3: only another claim does."""
    chunk = one_chunk(2)
    Delivery.objects.update(lease_until=after(-100))
    assert run(chunk) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("failing", [(), (0,), (0, 1, 2)])
def test_whatever_runs_has_a_lease_of_its_own(failing: tuple[int, ...]) -> None:
    """G2: a delivery that was started with the end of the one before, too, or it stays running."""
    left: list[float] = []

    def note(seen: Event[Any]) -> None:
        running = Delivery.objects.get(event__event_id=seen.id)
        left.append(seconds_until(running.lease_until))
        if seen.data["number"] in failing:
            raise RuntimeError("it fails")

    chunk = one_chunk(3, note)
    # What waits has an hour, so that a lease is seen to begin.
    Delivery.objects.update(lease_until=after(3_600))
    run(chunk)
    assert len(left) == 3
    assert all(20 < seconds < 40 for seconds in left), left
