"""Transactions that commit out of order, under relays and workers that come, freeze and go.

Hypothesis makes up what happens; whatever that is, what was committed is delivered, once, and
nothing else is. Who has lost a claim changes nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Count, F
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eda_django import Retry
from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.models import Attempt, Delivery, OutboxEvent, Status
from eda_django.models.clock import after
from eda_django.relay import Relay
from tests.databases import vendor
from tests.faults.fence import Row, changed_since, deliveries, only_under
from tests.faults.freezing import FrozenWorker, Link, freezing
from tests.faults.transactions import Transaction
from tests.faults.writers import ATOMIC, BARE, effects, subscribe
from tests.recovering import seen_before
from tests.relay.standing_in import Clock
from tests.relaying import lapse_leases
from tests.testapp.models import Effect

# SQLite has one writer at a time, so one open transaction, and nobody else who writes meanwhile.
MANY = 1 if vendor() == "sqlite" else 4
RELAYS = 1 if vendor() == "sqlite" else 3
# Rounds in which all must be done, once nothing breaks any more.
ENOUGH = 12
# Seconds from which on something is not due before time passes: more than any run takes.
LONG = 600.0
# Jobs that wait for each worker, so many that a relay gathers for as long as it may.
BEHIND = 10**6

picks = st.integers(min_value=0, max_value=11)


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
        # Workers that have begun or not, by their claims, and pushes that have not arrived.
        self.frozen: dict[UUID, Callable[[], Any]] = {}
        self.late: list[Chunk] = []
        self.transport = Link()
        self.clock = Clock()
        self.relays = [self.new_relay() for _ in range(RELAYS)]

    def new_relay(self) -> Relay:
        relay = Relay(transport=self.transport, batch_size=3, clock=self.clock)
        # By the database's clock, which goes on by itself: what is due must not depend on it.
        relay.gathering.most = LONG
        return relay

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
    @rule(
        which=picks,
        fate=st.sampled_from(["", "", "starts anew", "dies", "freezes"]),
        is_behind=st.booleans(),
    )
    def relay(self, which: int, fate: str, is_behind: bool) -> None:
        self.transport.behind = {"default": BEHIND} if is_behind else {}
        pushed = list(self.transport.chunks)
        self.relays[which % RELAYS].poll()
        if fate:
            self.relays[which % RELAYS] = self.new_relay()
        if fate in ("dies", "freezes"):
            # Between its COMMIT and the push.
            claimed = self.transport.chunks[len(pushed) :]
            self.transport.chunks[:] = pushed
            self.late += claimed if fate == "freezes" else []

    @precondition(lambda self: self.is_writable and self.late)
    @rule(arrives=st.booleans())
    def push_late(self, arrives: bool) -> None:
        chunk = self.late.pop()
        if arrives:
            self.transport.chunks.append(chunk)
            return
        with only_under(chunk.token):
            Delivery.objects.release(chunk.token, chunk.delivery_ids)

    @precondition(lambda self: self.is_writable)
    @rule(which=picks, others=st.sampled_from(["start", "claim", "claim anew"]))
    def relay_that_freezes_while_it_asks(self, which: int, others: str) -> None:
        """A worker starts what it took just before, or another relay takes back what was lost."""
        taken = self.take(which)
        known = {row["token"] for row in deliveries()} - {None}
        before: list[Row] = []

        def meanwhile() -> None:
            if others == "start":
                self.freeze(taken, nth=1)
            else:
                self.recover(empties_redis=others == "claim anew")
            before.extend(deliveries())

        self.time_passes()
        self.transport.meanwhile = meanwhile
        self.relays[which % RELAYS].reconcile()
        self.transport.meanwhile = None
        for row in changed_since(before):
            assert row["token"] in known
            assert row["status"] == Status.QUEUED

    @precondition(lambda self: self.is_writable)
    @rule(which=picks, fate=st.sampled_from(["", "", "dies", "dies when all is done"]))
    def work(self, which: int, fate: str) -> None:
        chunk = self.take(which)
        if fate == "dies":
            # It has started the first delivery of its chunk, and no more.
            Delivery.objects.start(chunk.delivery_ids[0], token=chunk.token, lease=60.0)
        else:
            self.run(chunk)
        if fate == "dies when all is done":
            # All but RQ's own books: an operator may requeue it.
            self.transport.chunks.append(chunk)

    @precondition(lambda self: self.is_writable)
    @rule(
        which=picks,
        nth=st.sampled_from([0, 0, 1, 1, 2]),
        others=st.sampled_from(["wait", "claim", "claim", "start", "start", "finish"]),
    )
    def worker_that_freezes(self, which: int, nth: int, others: str) -> None:
        """Before its first delivery, or in its nth; others do nothing, or do it meanwhile."""
        chunk = self.take(which)
        self.freeze(chunk, nth=nth)
        if others == "wait":
            return
        self.recover()
        for again in list(self.transport.chunks):
            if others != "claim" and set(again.delivery_ids) & set(chunk.delivery_ids):
                self.transport.chunks.remove(again)
                self.freeze(again, nth=1) if others == "start" else self.run(again)
        self.thaw_claim(chunk.token)

    @precondition(lambda self: self.is_writable and self.frozen)
    @rule(which=picks)
    def thaw(self, which: int) -> None:
        self.thaw_claim([*self.frozen][which % len(self.frozen)])

    @precondition(lambda self: self.is_writable)
    @rule(empties_redis=st.booleans())
    def time_passes(self, empties_redis: bool = False) -> None:
        if empties_redis:
            self.transport.chunks.clear()
        lapse_leases()
        self.clock.now += 2 * LONG
        Delivery.objects.filter(status=Status.PENDING).update(due_at=after(-1))
        # It looks again at once, however lately it has.
        for relay in self.relays:
            relay._next_reconcile = float("-inf")

    def recover(self, *, empties_redis: bool = False) -> None:
        """Have another relay find out what became of claims, and push again what was lost."""
        for _ in range(2):
            self.time_passes(empties_redis=empties_redis)
            seen_before(self.new_relay()).poll()

    def take(self, which: int) -> Chunk:
        if not self.transport.chunks:
            self.begin(3)
            self.end(-1, commit=True)
            self.relays[0].poll()
        if not self.transport.chunks:
            # They are gathered.
            self.time_passes()
            self.relays[0].poll()
        return self.transport.chunks.pop(which % len(self.transport.chunks))

    def freeze(self, chunk: Chunk, *, nth: int) -> None:
        if chunk.token in self.frozen:
            # By a worker that has the same job.
            self.thaw_claim(chunk.token)
        with only_under(chunk.token):
            worker = FrozenWorker(chunk, nth=nth) if nth else None
        self.frozen[chunk.token] = worker.thaw if worker else partial(self.consume, chunk)

    def thaw_claim(self, token: UUID) -> None:
        go_on = self.frozen.pop(token)
        with only_under(token):
            go_on()

    def run(self, chunk: Chunk) -> None:
        with only_under(chunk.token):
            self.consume(chunk)

    def consume(self, chunk: Chunk) -> None:
        consume(chunk.delivery_ids, token=chunk.token.hex)

    # What must hold

    @invariant()
    def nothing_is_delivered_twice_or_from_a_rollback(self) -> None:
        found = effects()
        assert {n for (name, _), n in found.items() if name != BARE} <= {1}
        assert {event_id for _, event_id in found} <= self.committed

    @invariant()
    def every_attempt_is_counted_and_every_failure_kept(self) -> None:
        rows = Delivery.objects.annotate(kept=Count("failed_attempts"))
        begun = (Status.RUNNING, Status.SUCCEEDED)
        assert not rows.filter(status__in=begun).exclude(attempts=F("kept") + 1).exists()
        assert not rows.exclude(status__in=begun).exclude(attempts=F("kept")).exists()

    def teardown(self) -> None:
        """Let everything come to its end, and thaw what is frozen when all is done without it."""
        try:
            self.finish()
        finally:
            while self.frozen:
                self.thaw(0)
        expected = {(name, event_id) for name in (*ATOMIC, BARE) for event_id in self.committed}
        assert set(effects()) == expected
        self.nothing_is_delivered_twice_or_from_a_rollback()
        self.every_attempt_is_counted_and_every_failure_kept()
        assert set(OutboxEvent.objects.values_list("event_id", flat=True)) == self.committed
        assert set(Delivery.objects.values_list("status", flat=True)) <= {Status.SUCCEEDED}

    def finish(self) -> None:
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
            while not self.relays[0].poll():
                pass
            while self.transport.chunks:
                self.run(self.transport.chunks.pop())

    def is_done(self) -> bool:
        fresh = OutboxEvent.objects.filter(relayed_at=None)
        return not (fresh.exists() or Delivery.objects.unfinished().exists())


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_what_was_committed_is_delivered_once_and_nothing_else() -> None:
    """G1, G2, G3, G12: in whatever order transactions commit, and whoever stops meanwhile."""
    subscribe(Retry(max_attempts=1000, base=LONG))
    with freezing():
        run_state_machine_as_test(
            LateCommits, settings=settings(max_examples=10, stateful_step_count=25)
        )
    assert not connection.in_atomic_block
