"""The verbs of models/verbs.py: each one a single statement, guarded by state and token."""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from tests.model.rules import Rules
from tests.model.state import DEAD, PENDING, QUEUED, RUNNING, SUCCEEDED, Delivery, Job, State

Rows = tuple[Delivery, ...]
Outcome = Callable[[Delivery], Delivery]


class Settled(NamedTuple):
    """The rows after settle(), and which of its two halves found its row."""

    rows: Rows
    done: bool
    started: bool


def held(row: Delivery, status: str, token: int, rules: Rules) -> bool:
    """Whether a verb's guard lets the row through."""
    by_status = row.status == status or not rules.by_state
    return by_status and (row.token == token or not rules.by_token)


def put(rows: Rows, pk: int, row: Delivery) -> Rows:
    return (*rows[:pk], row, *rows[pk + 1 :])


def locked(state: State, rules: Rules) -> set[int]:
    """The rows that a subscriber's transaction holds."""
    if not (rules.row_lock and rules.atomic):
        return set()
    return {worker.work[0].pk for worker in state.workers if worker.at == "inside"}


# The relay's verbs


def queue(rows: Rows, jobs: Iterable[Job]) -> Rows:
    """create_queued() and the UPDATE of claim_due()."""
    for token, ids in jobs:
        for pk in ids:
            row = rows[pk]._replace(status=QUEUED, token=token, lapsed=False)
            rows = put(rows, pk, row)
    return rows


def gather(rows: Rows, ids: Iterable[int]) -> Rows:
    """create_pending(): born without a claim, to be claimed later."""
    for pk in ids:
        rows = put(rows, pk, Delivery(PENDING))
    return rows


def release(rows: Rows, jobs: Iterable[Job], rules: Rules) -> Rows:
    """release() and requeue(): back to pending, and no attempt is burned."""
    for token, ids in jobs:
        for pk in ids:
            if held(rows[pk], QUEUED, token, rules):
                rows = put(rows, pk, pending(rows[pk]))
    return rows


def let_be(rows: Rows, jobs: Iterable[Job]) -> Rows:
    """Ask about these no more before another lease has passed: a relay's memory, not a verb.

    Another relay does not know of it. That it asks, too, is one of the ways on from here, because a
    lease may end at any time.
    """
    for token, ids in jobs:
        for pk in ids:
            if rows[pk].status == QUEUED and rows[pk].token == token:
                rows = put(rows, pk, rows[pk]._replace(lapsed=False))
    return rows


def claims(rows: Rows, status: str, tokens: Collection[int] | None = None) -> tuple[Job, ...]:
    """Group the rows in this state by their claim."""
    found: dict[int, list[int]] = {}
    for pk, row in enumerate(rows):
        if row.status == status and (tokens is None or row.token in tokens):
            found.setdefault(row.token, []).append(pk)
    return tuple(Job(token, tuple(ids)) for token, ids in sorted(found.items()))


# The consumer's verbs


def start(rows: Rows, pk: int, token: int, rules: Rules) -> tuple[Rows, bool]:
    row = rows[pk]
    if not held(row, QUEUED, token, rules):
        return rows, False
    counted = row.attempts + 1 if rules.count_first else row.attempts
    return put(rows, pk, row._replace(status=RUNNING, attempts=counted, lapsed=False)), True


def settle(
    rows: Rows, pk: int, outcome: Outcome, *, token: int, then: int | None, rules: Rules
) -> Settled:
    """End one attempt and start the next: one statement, whose halves are guarded apart."""
    done, started = held(rows[pk], RUNNING, token, rules), False
    if done:
        rows = put(rows, pk, outcome(rows[pk]))
    if then is not None:
        rows, started = start(rows, then, token, rules)
    return Settled(rows, done, started)


# Outcomes


def succeeded(row: Delivery) -> Delivery:
    return row._replace(status=SUCCEEDED, lapsed=False)


def pending(row: Delivery) -> Delivery:
    return row._replace(status=PENDING, token=0, lapsed=False)


def failed(attempts: int, rules: Rules, *, lost: bool = False) -> Outcome:
    """judge() and judge_lost(): backoff, or the end; `attempts` is what the judge believes."""

    def outcome(row: Delivery) -> Delivery:
        row = row._replace(failures=row.failures + 1)
        if attempts >= rules.max_attempts:
            return row._replace(status=DEAD, lapsed=False)
        return pending(row)._replace(isolated=lost or row.isolated)

    return outcome


def deferred(attempts: int) -> Outcome:
    """RetryLater: the attempt is given back."""
    return lambda row: pending(row)._replace(attempts=attempts - 1)


def counted(outcome: Outcome) -> Outcome:
    """The outcome under the rule that an attempt is counted when it ends."""
    return lambda row: outcome(row._replace(attempts=row.attempts + 1))


def uncounted(row: Delivery) -> Delivery:
    """A lost worker under that rule: nobody was left to count."""
    return pending(row)._replace(isolated=True)
