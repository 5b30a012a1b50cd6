"""The model beside the code: from every pair of rows, both make the same rows."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import product
from uuid import UUID

import pytest
from django.utils import timezone

from eda_django import Event, Retry, RetryLater, subscribes
from eda_django.consumer import consume
from eda_django.failures import describe
from eda_django.models import Attempt, Delivery, NewDelivery, outcomes
from eda_django.models.clock import after
from eda_django.recovery import Inquiry
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.delivery.claiming import relayed_event
from tests.model import relays, verbs, workers
from tests.model.rules import FAULT, STEP, Rules
from tests.model.state import (
    DEAD,
    NO_TOKEN,
    PENDING,
    QUEUED,
    RELAYED,
    RUNNING,
    SUCCEEDED,
    Job,
    State,
    initial,
)
from tests.model.state import Delivery as Row
from tests.recovering import seen_before
from tests.relaying import Recorder
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db

NAME = "t.modelled"
RULES = Rules(max_attempts=2)
# The claims of the model, and what the database has in their place.
TOKENS = {1: UUID(int=1), 2: UUID(int=2)}
NEW = 3
ERRORS = {"fail": RuntimeError("it failed"), "exit": SystemExit(1), "defer": RetryLater(0)}

ROWS = (
    Row(PENDING),
    Row(PENDING, attempts=1, isolated=True, failures=1),
    *(Row(QUEUED, token, lapsed=lapsed) for token in TOKENS for lapsed in (False, True)),
    *(Row(RUNNING, token, 1, lapsed=lapsed) for token in TOKENS for lapsed in (False, True)),
    Row(RUNNING, 1, 2, lapsed=True, failures=1),
    *(Row(SUCCEEDED, token, 1) for token in TOKENS),
    Row(DEAD, 1, 2, failures=2),
)
NEIGHBOURS = (ROWS[0], *ROWS[2:5], ROWS[6])
Pair = tuple[Row, ...]


class Table:
    """Two deliveries in the database, overwritten again and again."""

    def __init__(self) -> None:
        self.events = [relayed_event(), relayed_event()]
        self.ids = [
            Delivery.objects.create(event=event, subscriber=NAME, due_at=timezone.now()).pk
            for event in self.events
        ]
        self.before: Pair = ()
        # What the subscriber is to do with each event.
        self.behaviour: dict[UUID, str] = {}
        subscribes("t.happened", name=NAME, retry=Retry(max_attempts=2))(self._subscriber)

    def _subscriber(self, event: Event[object]) -> None:
        Effect.objects.create(subscriber=NAME, event_id=event.id, attempt=event.attempt)
        if error := ERRORS.get(self.behaviour[event.id]):
            raise error

    def store(self, pair: Pair) -> None:
        self.before = pair
        Attempt.objects.all().delete()
        Effect.objects.all().delete()
        for pk, row in zip(self.ids, pair, strict=True):
            is_leased = row.status in (QUEUED, RUNNING)
            Delivery.objects.filter(pk=pk).update(
                status=row.status,
                token=TOKENS.get(row.token),
                attempts=row.attempts,
                isolated=row.isolated,
                due_at=after(-1) if row.status == PENDING else None,
                lease_until=after(-1 if row.lapsed else 60) if is_leased else None,
            )

    def rows(self) -> Pair:
        """Return the rows as the model would have them."""
        names: dict[UUID | None, int] = {token: name for name, token in TOKENS.items()}
        names[None] = NO_TOKEN
        lapsed = Delivery.objects.filter(lease_until__lte=after(0)).values_list("pk", flat=True)
        late = set(lapsed)
        failed = list(Attempt.objects.values_list("delivery_id", flat=True))
        effects = list(Effect.objects.values_list("event_id", flat=True))
        found = Delivery.objects.order_by("event_id")
        return tuple(
            Row(
                row.status,
                names.get(row.token, NEW),
                row.attempts,
                row.pk in late,
                row.isolated,
                before.failures + failed.count(row.pk),
                effects.count(event.event_id),
            )
            for row, event, before in zip(found, self.events, self.before, strict=True)
        )

    def compare(
        self,
        code: Callable[[], object],
        model: Callable[[Pair], Pair],
        *,
        changes: bool = True,
    ) -> None:
        """Hold the code to the model, from every pair of rows that there can be."""
        changed = 0
        for pair in product(ROWS, NEIGHBOURS):
            if pair[0].token == pair[1].token and pair[0].lapsed != pair[1].lapsed:
                continue  # One claim has one lease.
            self.store(pair)
            code()
            assert self.rows() == model(pair), f"from {pair}"
            changed += model(pair) != pair
        assert (changed > 0) == changes


@pytest.fixture
def table() -> Table:
    return Table()


def state_of(rows: Pair, *, redis: tuple[Job, ...] = ()) -> State:
    start = initial(events=2, relays=1, workers=1, status=RELAYED)
    return start._replace(deliveries=rows, redis=redis)


# The verbs


@pytest.mark.parametrize("gathered", [(), (0,), (1,), (0, 1)])
def test_create_pending_and_create_queued_are_the_models(table: Table, gathered: tuple[int, ...]):
    Delivery.objects.all().delete()
    table.before = (Row(), Row())
    new = [NewDelivery(event_id=e.pk, subscriber=NAME, queue="q", key="") for e in table.events]
    queued = tuple(pk for pk in (0, 1) if pk not in gathered)
    Delivery.objects.create_pending([new[pk] for pk in gathered], seconds=0)
    Delivery.objects.create_queued([new[pk] for pk in queued], size=2, lease=60)
    born = verbs.queue(verbs.gather(table.before, gathered), [Job(NEW, queued)])
    assert table.rows() == born


def test_start_is_the_models(table: Table):
    table.compare(
        lambda: Delivery.objects.start(table.ids[0], token=TOKENS[1], lease=60),
        lambda rows: verbs.start(rows, 0, 1, RULES)[0],
    )


def test_release_is_the_models(table: Table):
    table.compare(
        lambda: Delivery.objects.release(TOKENS[1], table.ids),
        lambda rows: verbs.release(rows, [Job(1, (0, 1))], RULES),
    )


def test_lock_running_is_the_models(table: Table):
    for row in ROWS:
        table.store((row, ROWS[0]))
        locked = Delivery.objects.lock_running(table.ids[0], token=TOKENS[1])
        assert locked == verbs.held(row, RUNNING, 1, RULES)


@pytest.mark.parametrize("then", [None, 1])
@pytest.mark.parametrize("end", ["success", "failure", "deferral"])
def test_settle_is_the_models(table: Table, end: str, then: int | None):
    failure = describe(ERRORS["fail"])
    values, outcome = {
        "success": (outcomes.succeeded(), verbs.succeeded),
        # Its Attempt is written beside it: see below, with the whole consumer.
        "failure": (
            outcomes.failed(failure, seconds=0, isolated=False),
            lambda row: verbs.pending(row)._replace(isolated=False),
        ),
        "deferral": (outcomes.deferred(failure, seconds=0, attempts=1), verbs.deferred(1)),
    }[end]
    following = None if then is None else table.ids[then]
    table.compare(
        lambda: Delivery.objects.settle(
            table.ids[0], values, token=TOKENS[1], then=following, lease=60
        ),
        lambda rows: verbs.settle(rows, 0, outcome, token=1, then=then, rules=RULES).rows,
    )


def test_claim_due_is_the_models(table: Table):
    """How chunks are cut is told elsewhere; what is new here counts as one claim."""

    def model(rows: Pair) -> Pair:
        due = tuple(pk for pk, row in enumerate(rows) if row.status == PENDING)
        return verbs.queue(rows, [Job(NEW, due)])

    table.compare(lambda: Delivery.objects.claim_due(10, size=1, lease=60, queues={}), model)


# Reconciling


class Survivors:
    """A transport on which only some claims are still on their way."""

    def __init__(self, *tokens: int) -> None:
        self.tokens = {TOKENS[token] for token in tokens}

    def has_queue(self, name: str) -> bool:
        return True

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        return self.tokens & claims.keys()


def test_recover_running_is_the_models(table: Table):
    def model(rows: Pair) -> Pair:
        found = relays.steps(state_of(rows), 0, RULES)
        return next((s.after.deliveries for s in found if "lost, COMMIT" in s.label), rows)

    def recover() -> None:
        seen_before(Relay(transport=Recorder())).lost_workers.recover()

    table.compare(recover, model)


@pytest.mark.parametrize("alive", [(), (1,), (2,), (1, 2)])
def test_inquiry_is_the_models(table: Table, alive: tuple[int, ...]):
    def model(rows: Pair) -> Pair:
        start = state_of(rows, redis=tuple(Job(token, ()) for token in alive))
        looking = (s.after for s in relays.steps(start, 0, RULES) if s.after.relays[0].at == "look")
        state = next(looking, start)
        while state.relays[0].at != "idle":
            state = next(s.after for s in relays.steps(state, 0, RULES) if s.kind == STEP)
        # Nothing is written to what is left alone: see let_be().
        return tuple(
            row if after._replace(lapsed=row.lapsed) == row else after
            for row, after in zip(rows, state.deliveries, strict=True)
        )

    transport = Survivors(*alive)
    table.compare(
        lambda: Inquiry("default", transport, registry, limit=10).ask(),  # type: ignore[arg-type]
        model,
        changes=alive != (1, 2),
    )


# A whole chunk


@pytest.mark.thorough
@pytest.mark.parametrize("second", ["succeed", *ERRORS])
@pytest.mark.parametrize("first", ["succeed", *ERRORS])
def test_consume_is_the_models(table: Table, first: str, second: str):
    ends = (first, second)
    table.behaviour = {e.event_id: end for e, end in zip(table.events, ends, strict=True)}
    rows = (Row(QUEUED, 1), Row(QUEUED, 1, 1, failures=1), Row(QUEUED, 2), Row(RUNNING, 1, 1))
    for pair in product(rows, rows):
        table.store(pair)
        with suppress(SystemExit):
            consume(table.ids, token=TOKENS[1].hex)
        assert table.rows() == _consumed(pair, ends), f"from {pair}"


def _consumed(rows: Pair, ends: tuple[str, str]) -> Pair:
    """Let the model's worker run one job to its end, with nothing slow and nothing broken."""
    state = state_of(rows, redis=(Job(1, (0, 1)),))
    while state.redis or state.workers[0].at != "idle":
        worker = state.workers[0]
        wanted = ends[worker.work[0].pk] if worker.work else "succeed"
        rules = Rules(max_attempts=2, outcomes=frozenset({wanted}))
        state = next(s.after for s in workers.steps(state, 0, rules) if s.kind != FAULT)
    return state.deliveries
