"""The operators' verbs: guarded by state, and never in a worker's or a relay's way."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from eda_django import Retry, conf
from eda_django.models import Attempt, Delivery, OutboxEvent, Status, outcomes
from eda_django.models.clock import after
from eda_django.models.locking import writing
from eda_django.models.operator_verbs import BY_OPERATOR
from eda_django.relay import Relay
from tests.relaying import (
    Recorder,
    happen,
    in_threads,
    on_happened,
    only_delivery,
    relayed,
    row_locks,
    seconds_until,
    statuses,
)

VALUES: dict[str, dict[str, Any]] = {
    "waiting": {},
    "pending": {"due_at": after(60)},
    "queued": {"lease_until": after(60), "token": uuid4()},
    "running": {"lease_until": after(60), "token": uuid4(), "attempts": 1},
    "succeeded": {"attempts": 1},
    "dead": {"attempts": 3, "finished_at": after(0)},
    "discarded": {"attempts": 1},
}


def one_in_each_state() -> dict[str, int]:
    """Make a delivery in each state, and return their numbers."""
    on_happened(lambda event: None)
    ids = relayed(len(VALUES)).ids
    for pk, (status, values) in zip(ids, VALUES.items(), strict=True):
        row = {"status": status, "lease_until": None, "due_at": None, **values}
        Delivery.objects.filter(pk=pk).update(**row)
    return dict(zip(VALUES, ids, strict=True))


def act(verb: str, rows: Any = None, *args: Any) -> list[int]:
    with writing("default"):
        found: list[int] = getattr(Delivery.objects.all() if rows is None else rows, verb)(*args)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("verb", "arguments", "states"),
    [
        ("retry", (), {"dead"}),
        ("retry_now", (), {"pending"}),
        ("discard", ("gone",), {"pending", "queued", "dead"}),
    ],
)
def test_a_verb_changes_what_is_in_its_states_and_nothing_else(
    verb: str, arguments: tuple[str, ...], states: set[str]
) -> None:
    ids = one_in_each_state()
    others = {name: pk for name, pk in ids.items() if name not in states}
    before = list(Delivery.objects.filter(pk__in=others.values()).order_by("pk").values())
    assert sorted(act(verb, None, *arguments)) == sorted(ids[name] for name in states)
    after_it = list(Delivery.objects.filter(pk__in=others.values()).order_by("pk").values())
    assert after_it == before


@pytest.mark.django_db(transaction=True)
def test_failing_is_what_is_dead_or_waits_after_a_failure() -> None:
    ids = one_in_each_state()
    assert [row.pk for row in Delivery.objects.failing()] == [ids["dead"]]
    Delivery.objects.filter(pk=ids["pending"]).update(attempts=1)
    failing = set(Delivery.objects.failing().values_list("pk", flat=True))
    assert failing == {ids["dead"], ids["pending"]}


@pytest.mark.django_db(transaction=True)
def test_a_retried_dead_letter_has_all_its_attempts_again_and_is_due() -> None:
    pk = one_in_each_state()["dead"]
    act("retry")
    row = Delivery.objects.get(pk=pk)
    assert (row.status, row.attempts, row.finished_at, row.token) == ("pending", 0, None, None)
    assert seconds_until(row.due_at) <= 0


@pytest.mark.django_db(transaction=True)
def test_retry_now_ends_the_wait_and_spends_no_attempt() -> None:
    pk = one_in_each_state()["pending"]
    Delivery.objects.filter(pk=pk).update(attempts=2)
    act("retry_now")
    row = Delivery.objects.get(pk=pk)
    assert seconds_until(row.due_at) <= 0
    assert row.attempts == 2
    # It is due by now: there is no wait left to end.
    assert act("retry_now") == []


@pytest.mark.django_db(transaction=True)
def test_a_discarded_delivery_says_why_and_can_be_pruned() -> None:
    ids = one_in_each_state()
    act("discard", None, "sent twice\x00")
    row = Delivery.objects.get(pk=ids["dead"])
    assert (row.status, row.error_class, row.due_at) == ("discarded", BY_OPERATOR, None)
    assert row.error_text == "sent twice\N{REPLACEMENT CHARACTER}"
    assert row.finished_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_worker_does_nothing_with_a_queued_delivery_that_was_discarded_meanwhile() -> None:
    """G3: the claim is gone."""
    ran: list[Any] = []
    on_happened(ran.append)
    transport = relayed()
    assert len(act("discard", None, "not wanted")) == 1
    assert transport.work() == 0
    assert ran == []
    assert statuses() == ["discarded"]


@pytest.mark.django_db(transaction=True)
def test_what_runs_is_not_discarded_under_its_worker() -> None:
    """Whoever runs it finishes it; the operator is told at once that it was passed over."""
    told: list[Any] = []

    def subscriber(event: Any) -> None:
        # Another connection than the worker's, while the row is locked by it.
        if connection.vendor != "sqlite":
            told.extend(in_threads(lambda: act("discard", None, "too slow")))

    on_happened(subscriber)
    assert relayed().work() == 1
    assert told == ([] if connection.vendor == "sqlite" else [[]])
    assert statuses() == ["succeeded"]


@row_locks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["retry", "retry_now", "discard"])
def test_an_operator_waits_for_nobody(verb: str) -> None:
    """What a relay, a worker or another operator has locked is passed over."""
    ids = one_in_each_state()
    arguments = ("why",) if verb == "discard" else ()
    with transaction.atomic():
        list(Delivery.objects.filter(pk__in=ids.values()).select_for_update())
        (changed,) = in_threads(lambda: act(verb, None, *arguments))
    assert changed == []


@row_locks
@pytest.mark.django_db(transaction=True)
def test_of_two_operators_one_retries() -> None:
    pk = one_in_each_state()["dead"]
    found = in_threads(lambda: act("retry"), lambda: act("retry"))
    assert sorted(found) == [[], [pk]]


@pytest.mark.django_db(transaction=True)
def test_a_retried_delivery_runs_with_the_next_turn_of_a_relay() -> None:
    broken = True

    def subscriber(event: Any) -> None:
        if broken:
            raise RuntimeError("broken")

    on_happened(subscriber, retry=Retry(max_attempts=1))
    transport = relayed()
    transport.work()
    assert only_delivery().status == Status.DEAD
    broken = False
    act("retry")
    Relay(transport=transport).poll()
    assert transport.work() == 1
    assert only_delivery().status == Status.SUCCEEDED
    assert Attempt.objects.count() == 1


# Sending again


def resend(queues: dict[str, str]) -> Any:
    event = OutboxEvent.objects.get()
    with writing("default"):
        assert OutboxEvent.objects.take_to_resend(event.pk, event.relayed_at)
        return Delivery.objects.resend(event.pk, queues)


@pytest.mark.django_db(transaction=True)
def test_an_event_goes_again_to_whom_it_was_delivered_and_to_who_never_got_it() -> None:
    ran: list[str] = []
    on_happened(lambda event: ran.append("old"), name="t.old")
    transport = relayed()
    transport.work()
    on_happened(lambda event: ran.append("new"), name="t.new")
    sent = resend({"t.old": "default", "t.new": "default"})
    assert [one.subscriber for one in sent.again] == ["t.old"]
    assert (sent.new, sent.under_way) == (("t.new",), ())
    Relay(transport=transport).poll()
    assert transport.work() == 2
    assert sorted(ran) == ["new", "old", "old"]


@pytest.mark.django_db(transaction=True)
def test_what_is_under_way_is_not_sent_again() -> None:
    on_happened(lambda event: None)
    transport = relayed()
    assert resend({"t.sub": "default"}).under_way == ("t.sub",)
    assert transport.work() == 1


@pytest.mark.django_db(transaction=True)
def test_only_an_event_that_was_fanned_out_is_sent_again() -> None:
    happen()
    event = OutboxEvent.objects.get()
    for seen in (event.relayed_at, timezone.now()):
        assert not OutboxEvent.objects.take_to_resend(event.pk, seen)
        assert not OutboxEvent.objects.take_to_resend(0, seen)


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_again_is_not_pruned() -> None:
    """G2: nothing that waits is deleted, not even if it was old."""
    on_happened(lambda event: None)
    relayed().work()
    long_ago = after(-conf.get("RETENTION").total_seconds() - 60)
    OutboxEvent.objects.update(relayed_at=long_ago, time=long_ago)
    resend({"t.sub": "default"})
    Relay(transport=Recorder()).prune()
    assert only_delivery().status == Status.PENDING
    # Not even if its snapshot was taken before, and it still counts as finished there.
    Delivery.objects.update(**outcomes.succeeded())
    Relay(transport=Recorder()).prune()
    assert OutboxEvent.objects.count() == 1
