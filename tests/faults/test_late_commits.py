"""Transactions that commit out of order, under relays and workers that come and go.

Hypothesis makes up what happens; whatever that is, what was committed is delivered, once, and
nothing else is.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eda_django import Event, Retry, publish
from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.databases import vendor
from tests.relaying import HAPPENED, Recorder, lapse_leases, on_happened
from tests.testapp.models import Effect

# SQLite has one writer at a time, so one open transaction, and nobody else who writes meanwhile.
MANY = 1 if vendor() == "sqlite" else 4
RELAYS = 1 if vendor() == "sqlite" else 3
SUBSCRIBERS = ("t.one", "t.two")
# Turns in which all must be done, once nothing breaks any more.
ENOUGH = 12

picks = st.integers(min_value=0, max_value=11)


class Transaction:
    """One open transaction, on a connection of its own."""

    def __init__(self) -> None:
        self.events: list[UUID] = []
        self._thread = ThreadPoolExecutor(1)
        self._stack = ExitStack()
        self._do(lambda: self._stack.enter_context(transaction.atomic()))

    def publish(self) -> None:
        self.events.append(self._do(_publish).id)

    def publish_in_vain(self) -> None:
        """Publish inside a savepoint that is rolled back."""

        def work() -> None:
            with transaction.atomic():
                _publish()
                transaction.set_rollback(True)

        self._do(work)

    def end(self, *, commit: bool) -> None:
        def work() -> None:
            transaction.set_rollback(not commit)
            self._stack.close()
            connections.close_all()

        self._do(work)
        self._thread.shutdown()

    def _do(self, work: Callable[[], Any]) -> Any:
        return self._thread.submit(work).result(30)


def _publish() -> Event[Any]:
    return publish(HAPPENED, {})


class LateCommits(RuleBasedStateMachine):
    """A site, and what a bad day brings."""

    def __init__(self) -> None:
        super().__init__()
        Effect.objects.all().delete()
        Attempt.objects.all().delete()
        Delivery.objects.all().delete()
        OutboxEvent.objects.all().delete()
        self.open: list[Transaction] = []
        self.committed: set[UUID] = set()
        self.frozen: list[Chunk] = []
        self.transport = Recorder()
        self.relays = [self.new_relay() for _ in range(RELAYS)]

    def new_relay(self) -> Relay:
        return Relay(transport=self.transport, batch_size=3)

    @property
    def is_writable(self) -> bool:
        return vendor() != "sqlite" or not self.open

    # Few rules, of which each does something: more would often leave out what matters.

    @precondition(lambda self: len(self.open) < MANY)
    @rule(events=st.integers(min_value=1, max_value=3))
    def begin(self, events: int) -> None:
        self.open.append(Transaction())
        for _ in range(events):
            self.open[-1].publish()

    @precondition(lambda self: self.open)
    @rule(which=picks, in_vain=st.booleans())
    def publish(self, which: int, in_vain: bool) -> None:
        one = self.open[which % len(self.open)]
        one.publish_in_vain() if in_vain else one.publish()

    @precondition(lambda self: self.open)
    @rule(which=picks, commit=st.sampled_from([True, True, False]))
    def end(self, which: int, commit: bool) -> None:
        ended = self.open.pop(which % len(self.open))
        ended.end(commit=commit)
        if commit:
            self.committed.update(ended.events)

    @precondition(lambda self: self.is_writable)
    @rule(which=picks, fate=st.sampled_from(["", "", "starts anew", "dies before its push"]))
    def relay(self, which: int, fate: str) -> None:
        pushed = list(self.transport.chunks)
        self.relays[which % RELAYS].poll()
        if fate:
            self.relays[which % RELAYS] = self.new_relay()
        if fate == "dies before its push":
            self.transport.chunks[:] = pushed

    @precondition(lambda self: self.is_writable and self.transport.chunks)
    @rule(which=picks, fate=st.sampled_from(["", "", "dies", "dies when all is done", "freezes"]))
    def work(self, which: int, fate: str) -> None:
        chunk = self.transport.chunks.pop(which % len(self.transport.chunks))
        if fate == "dies":
            # It has started the first delivery of its chunk, and no more.
            Delivery.objects.start(chunk.delivery_ids[0], token=chunk.token, lease=60.0)
        elif fate == "freezes":
            self.frozen.append(chunk)
        else:
            self.run(chunk)
        if fate == "dies when all is done":
            # All but RQ's own books: an operator may requeue it.
            self.transport.chunks.append(chunk)

    @precondition(lambda self: self.is_writable and self.frozen)
    @rule()
    def thaw(self) -> None:
        self.run(self.frozen.pop())

    @precondition(lambda self: self.is_writable)
    @rule(empties_redis=st.booleans())
    def time_passes(self, empties_redis: bool = False) -> None:
        if empties_redis:
            self.transport.chunks.clear()
        lapse_leases()
        Delivery.objects.filter(status=Status.PENDING).update(due_at=after(-1))
        # It looks again at once, however lately it has.
        for relay in self.relays:
            relay._next_reconcile = float("-inf")

    def run(self, chunk: Chunk) -> None:
        consume(chunk.delivery_ids, token=chunk.token.hex)

    # What must hold

    @invariant()
    def nothing_is_delivered_twice_or_from_a_rollback(self) -> None:
        found = self.effects()
        assert set(found.values()) <= {1}
        assert {event_id for _, event_id in found} <= self.committed

    def effects(self) -> Counter[tuple[str, UUID]]:
        return Counter(Effect.objects.values_list("subscriber", "event_id"))

    def teardown(self) -> None:
        """Let everything come to its end: what was committed has been delivered."""
        while self.open:
            # The youngest first, so that a relay has seen it when the others come.
            youngest = self.open.pop()
            youngest.end(commit=True)
            self.committed.update(youngest.events)
            if self.is_writable:
                self.relays[0].poll()
        for _ in range(ENOUGH):
            if self.is_done():
                break
            self.time_passes()
            self.relays[0].poll()
            while self.transport.chunks:
                self.run(self.transport.chunks.pop())
        expected = {(name, event_id) for name in SUBSCRIBERS for event_id in self.committed}
        assert self.effects() == Counter(expected)
        assert set(OutboxEvent.objects.values_list("event_id", flat=True)) == self.committed
        assert set(Delivery.objects.values_list("status", flat=True)) <= {Status.SUCCEEDED}

    def is_done(self) -> bool:
        fresh = OutboxEvent.objects.filter(relayed_at=None)
        return not (fresh.exists() or Delivery.objects.unfinished().exists())


@pytest.mark.django_db(transaction=True)
def test_what_was_committed_is_delivered_once_and_nothing_else() -> None:
    """G1, G2, G3, G12: in whatever order transactions commit, and whoever stops meanwhile."""
    for name in SUBSCRIBERS:
        on_happened(write_as(name), name=name, retry=Retry(max_attempts=1000, base=0.01))
    run_state_machine_as_test(
        LateCommits, settings=settings(max_examples=15, stateful_step_count=25)
    )
    assert not connection.in_atomic_block


def write_as(name: str) -> Callable[[Event[Any]], None]:
    def write(event: Event[Any]) -> None:
        Effect.objects.create(subscriber=name, event_id=event.id, attempt=event.attempt)

    return write
