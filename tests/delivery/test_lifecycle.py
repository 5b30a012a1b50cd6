"""The life of deliveries, driven at random through the verbs, against a model in plain Python.

tests/model/test_conformity.py holds each verb to the protocol's model, one step from every state;
here Hypothesis takes many steps, by several relays and workers with old and new claims.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.models.clock import DatabaseNow, after
from eda_django.models.operator_verbs import BY_OPERATOR, Before, Resent
from tests.delivery.claiming import relayed_event
from tests.delivery.plain_model import ENDS, LEASE, Row

ROWS = 5
KIND = "t.Unknown"

places = st.integers(min_value=0, max_value=ROWS - 1)
subsets = st.sets(places, max_size=ROWS)
# An operator often means all there are.
wishes = st.just(set(range(ROWS))) | subsets


class Lifecycle(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    @initialize(target=tokens)
    def create(self) -> UUID:
        """Fan events out: born queued, each under a claim of its own."""
        Delivery.objects.all().delete()
        OutboxEvent.objects.all().delete()
        rows = [Delivery(event=relayed_event(), subscriber="t.sub", queue="q") for _ in range(ROWS)]
        chunks = Delivery.objects.create_queued(rows, size=1, lease=LEASE)
        made = sorted((pk, chunk.token) for chunk in chunks for pk in chunk.delivery_ids)
        self.ids = [pk for pk, _ in made]
        self.rows = [Row(token=token) for _, token in made]
        assert len(set(self.claims())) == ROWS
        return self.claims()[0]

    def claims(self) -> list[UUID]:
        return [row.token for row in self.rows if row.token]

    @rule(target=tokens, place=places)
    def remember(self, place: int) -> UUID:
        """Have somebody know the claim that a delivery is under now, and may soon not be."""
        return self.rows[place].token or uuid4()

    # The relay's verbs

    @rule(place=places, is_due=st.booleans())
    def gather(self, place: int, is_due: bool) -> None:
        """Have a new delivery born pending, in the place of one that has ended and was pruned."""
        if self.rows[place].status not in (Status.SUCCEEDED, Status.DISCARDED):
            return
        Delivery.objects.filter(pk=self.ids[place]).delete()
        new = Delivery(event=relayed_event(), subscriber="t.sub", queue="q")
        Delivery.objects.create_pending([new], seconds=0 if is_due else LEASE)
        self.ids[place] = Delivery.objects.get(event=new.event).pk
        self.rows[place] = Row(status=Status.PENDING, is_due=is_due)

    @rule(limit=places)
    def claim_due(self, limit: int) -> None:
        with transaction.atomic():
            chunks = Delivery.objects.claim_due(limit, size=2, lease=LEASE, queues={"t.sub": "new"})
        claimed = {pk: chunk for chunk in chunks for pk in chunk.delivery_ids}
        due = [pk for pk, row in self.items() if row.status == Status.PENDING and row.is_due]
        assert len(claimed) == min(limit, len(due))
        assert set(claimed) <= set(due)
        for pk, row in self.items():
            if pk in claimed:
                row.status, row.token, row.is_due = Status.QUEUED, claimed[pk].token, False
                assert not (row.is_isolated and len(claimed[pk].delivery_ids) > 1)

    @rule(token=tokens, chosen=subsets)
    def release(self, token: UUID, chosen: set[int]) -> None:
        changed = Delivery.objects.release(token, self.keys(chosen))
        assert changed == self.change(chosen, Status.QUEUED, {token}, self.give_back)

    @rule(token=tokens, chosen=subsets)
    def put_aside(self, token: UUID, chosen: set[int]) -> None:
        changed = Delivery.objects.put_aside(
            token, self.keys(chosen), kind=KIND, reason="unknown", seconds=LEASE
        )

        def put(row: Row) -> None:
            row.leave(Status.PENDING)
            row.error = KIND

        assert changed == self.change(chosen, Status.QUEUED, {token}, put)

    @rule()
    def retry_known(self) -> None:
        with transaction.atomic():
            changed = Delivery.objects.retry_known(KIND, ["t.sub"], within=LEASE, limit=ROWS)
        waiting = [r for r in self.rows if (r.status, r.error) == (Status.PENDING, KIND)]
        late = [row for row in waiting if not row.is_due]
        assert changed == len(late)
        for row in late:
            row.is_due = True

    @rule()
    def look_for_what_has_lapsed(self) -> None:
        lapsed = Delivery.objects.lapsed_queued(ROWS)
        assert {row.pk for row in lapsed} == self.lapsed(Status.QUEUED)

    @rule(token=tokens, place=places)
    def requeue(self, token: UUID, place: int) -> None:
        """By a relay that has seen the delivery under this claim."""
        seen = Delivery(pk=self.ids[place], token=token)
        changed = Delivery.objects.requeue([seen])
        assert changed == self.change({place}, Status.QUEUED, {token}, self.give_back)

    @rule()
    def look_for_lost_workers(self) -> None:
        with transaction.atomic():
            found = Delivery.objects.lock_lapsed_running(ROWS)
        assert {row.pk for row in found} == self.lapsed(Status.RUNNING)
        running = {r.token for r in self.rows if r.token and r.status == Status.RUNNING}
        assert Delivery.objects.running_tokens() == running
        rest = {pk for pk, r in self.items() if r.status == Status.QUEUED and r.token in running}
        assert {row.pk for row in Delivery.objects.queued_under(running)} == rest

    # The consumer's verbs

    @rule(token=tokens, place=places)
    def start(self, token: UUID, place: int) -> None:
        started = Delivery.objects.start(self.ids[place], token=token, lease=LEASE)
        assert started == self.change({place}, Status.QUEUED, {token}, Row.start)

    @rule(token=tokens, place=places)
    def lock(self, token: UUID, place: int) -> None:
        with transaction.atomic():
            held = Delivery.objects.lock_running(self.ids[place], token=token)
        row = self.rows[place]
        assert held == ((row.status, row.token) == (Status.RUNNING, token))

    @rule(token=tokens, place=places, following=st.none() | places, end=st.sampled_from([*ENDS]))
    def settle(self, token: UUID, place: int, following: int | None, end: str) -> None:
        if following == place:
            following = None
        values, change = ENDS[end]
        changed = Delivery.objects.settle(
            self.ids[place],
            values(self.rows[place].attempts),
            token=token,
            then=None if following is None else self.ids[following],
            lease=LEASE,
        )
        expected = self.change({place}, Status.RUNNING, {token}, change)
        if following is not None:
            expected += self.change({following}, Status.QUEUED, {token}, Row.start)
        assert changed == expected

    @rule(place=places, end=st.sampled_from(["", "dead", *ENDS]))
    def work(self, place: int, end: str) -> None:
        """By the worker that has the claim: by chance alone few deliveries would come to an end."""
        if (token := self.rows[place].token) and self.rows[place].status == Status.QUEUED:
            self.start(token, place)
            if end:
                self.settle(token, place, None, end)

    # The operators' verbs

    @rule(chosen=wishes)
    def retry(self, chosen: set[int]) -> None:
        with transaction.atomic():
            changed = self.chosen(chosen).retry()
        assert set(changed) == self.begin_anew(chosen, {Status.DEAD})

    @rule(chosen=wishes)
    def retry_now(self, chosen: set[int]) -> None:
        with transaction.atomic():
            changed = self.chosen(chosen).retry_now()
        late = {n for n in self.in_state(chosen, {Status.PENDING}) if not self.rows[n].is_due}
        assert set(changed) == set(self.keys(late))
        for place in late:
            self.rows[place].is_due = True

    @rule(chosen=wishes)
    def discard(self, chosen: set[int]) -> None:
        with transaction.atomic():
            changed = self.chosen(chosen).discard("not wanted")
        found = self.in_state(chosen, {Status.PENDING, Status.QUEUED, Status.DEAD})
        assert set(changed) == set(self.keys(found))
        for place in found:
            self.rows[place].leave(Status.DISCARDED)
            self.rows[place].error = BY_OPERATOR

    @rule(place=places)
    def resend(self, place: int) -> None:
        row = Delivery.objects.get(pk=self.ids[place])
        before = Before(subscriber="t.sub", status=row.status, finished_at=row.finished_at)
        with transaction.atomic():
            assert OutboxEvent.objects.take_to_resend(row.event_id, row.event.relayed_at)
            resent = Delivery.objects.resend(row.event_id, {"t.sub": "q"})
        ended = {Status.SUCCEEDED, Status.DISCARDED, Status.DEAD}
        is_again = bool(self.begin_anew({place}, ended))
        assert resent == (Resent(again=(before,)) if is_again else Resent(under_way=("t.sub",)))

    # Time

    @rule(place=places)
    def lapse(self, place: int) -> None:
        row = self.rows[place]
        if row.status in (Status.QUEUED, Status.RUNNING):
            Delivery.objects.filter(pk=self.ids[place]).update(lease_until=after(-1))
            row.is_lapsed = True

    @rule(place=places)
    def become_due(self, place: int) -> None:
        row = self.rows[place]
        if row.status == Status.PENDING:
            Delivery.objects.filter(pk=self.ids[place]).update(due_at=after(-1))
            row.is_due = True

    # What must hold

    @invariant()
    def rows_are_the_models(self) -> None:
        found = {row.pk: row for row in Delivery.objects.all()}
        due = set(Delivery.objects.due().values_list("pk", flat=True))
        late = Delivery.objects.filter(lease_until__lte=DatabaseNow())
        lapsed = set(late.values_list("pk", flat=True))
        for pk, row in self.items():
            stored = found[pk]
            assert row == Row(
                status=Status(stored.status),
                token=stored.token,
                attempts=stored.attempts,
                is_due=pk in due,
                is_lapsed=pk in lapsed,
                is_isolated=stored.isolated,
                error=stored.error_class,
            )
            is_claimed = row.status in (Status.QUEUED, Status.RUNNING)
            assert (stored.lease_until is not None) == is_claimed
            is_open = is_claimed or row.status == Status.PENDING
            assert (stored.finished_at is None) == is_open

    # The parts of it

    def items(self) -> list[tuple[int, Row]]:
        return list(zip(self.ids, self.rows, strict=True))

    def keys(self, chosen: set[int]) -> list[int]:
        return [self.ids[place] for place in chosen]

    def lapsed(self, status: Status) -> set[int]:
        return {pk for pk, row in self.items() if row.status == status and row.is_lapsed}

    def chosen(self, places: set[int]) -> Any:
        return Delivery.objects.filter(pk__in=self.keys(places))

    def in_state(self, chosen: set[int], statuses: set[Status]) -> set[int]:
        return {place for place in chosen if self.rows[place].status in statuses}

    def begin_anew(self, chosen: set[int], statuses: set[Status]) -> set[int]:
        """Give those in these states all their attempts again; return their keys."""
        found = self.in_state(chosen, statuses)
        for place in found:
            self.give_back(self.rows[place])
            self.rows[place].attempts = 0
        return set(self.keys(found))

    def change(
        self, chosen: set[int], status: Status, tokens: set[UUID], change: Callable[[Row], None]
    ) -> int:
        """Change those that are in this state under these claims; return how many."""
        rows = [self.rows[place] for place in chosen]
        held = [row for row in rows if row.status == status and row.token in tokens]
        for row in held:
            change(row)
        return len(held)

    @staticmethod
    def give_back(row: Row) -> None:
        row.leave(Status.PENDING, is_due=True)


@pytest.mark.thorough
@pytest.mark.django_db
def test_deliveries_live_as_the_model_says() -> None:
    """G2, G3: whatever the order of verbs, whoever lost a claim changes nothing."""
    run_state_machine_as_test(Lifecycle, settings=settings(max_examples=20, stateful_step_count=50))
