"""Everything that may happen next: relays, workers, publishers, time, and what breaks."""

from collections.abc import Iterator

from tests.model import relays, verbs, workers
from tests.model.rules import FAULT, LAPSE, STEP, Rules, Step
from tests.model.state import FRESH, OPEN, QUEUED, ROLLED_BACK, RUNNING, Job, State, forgetful

TIME_PASSES = "every lease ends"


def steps(state: State, rules: Rules) -> list[Step]:
    """Return every step that is possible now; a fault only while there may be one more."""
    found = list(_all_steps(state, rules))
    if rules.prompt:
        found = _in_time(state, found)
    return [
        _charged(step, rules) for step in found if step.kind != FAULT or state.faults < rules.faults
    ]


def _charged(step: Step, rules: Rules) -> Step:
    after = step.after
    if step.kind == FAULT:
        after = after._replace(faults=after.faults + 1)
    return step._replace(after=forgetful(after) if rules.forgets else after)


def calm(found: list[Step]) -> list[Step]:
    """Keep what happens when nothing breaks or is slow: time passes only when all else rests.

    Then every lease ends, for none is so long that another can end twice in the meantime.
    """
    moving = [step for step in found if step.kind == STEP]
    return moving or [step for step in found if step.label == TIME_PASSES]


def _all_steps(state: State, rules: Rules) -> Iterator[Step]:
    yield from _publish(state)
    for number, relay in enumerate(state.relays):
        # What its twin may do leads to states that differ in nothing but names.
        if relay not in state.relays[:number]:
            yield from relays.steps(state, number, rules)
    for number, worker in enumerate(state.workers):
        if worker not in state.workers[:number]:
            yield from workers.steps(state, number, rules)
    yield from _lapse(state)
    if state.redis:
        yield Step(FAULT, "Redis is emptied", state._replace(redis=()))


def _publish(state: State) -> Iterator[Step]:
    for number, event in enumerate(state.events):
        if event == OPEN:
            for end, label in ((FRESH, "commits"), (ROLLED_BACK, "rolls back")):
                ended = (*state.events[:number], end, *state.events[number + 1 :])
                after = state._replace(events=ended)
                yield Step(STEP, f"publisher {number + 1} {label}", after)


def _lapse(state: State) -> Iterator[Step]:
    """A lease ends. While its relay has not pushed yet, that is a fault: the relay is frozen."""
    leased = [
        claim
        for status in (QUEUED, RUNNING)
        for claim in verbs.claims(state.deliveries, status)
        if not state.deliveries[claim.ids[0]].lapsed
    ]
    in_hand = {job.token for r in state.relays if r.at == "push" for job in r.jobs}
    for claim in leased:
        kind = FAULT if claim.token in in_hand else LAPSE
        yield Step(kind, f"the lease of claim {claim.token} ends", _lapsed(state, [claim]))
    if leased and not in_hand:
        yield Step(LAPSE, TIME_PASSES, _lapsed(state, leased))


def _lapsed(state: State, claims: list[Job]) -> State:
    rows = state.deliveries
    for claim in claims:
        for pk in claim.ids:
            rows = verbs.put(rows, pk, rows[pk]._replace(lapsed=True))
    return state._replace(deliveries=rows)


def _in_time(state: State, found: list[Step]) -> list[Step]:
    """Leave out that time passes, except where a subscriber takes it or all else rests."""
    if not any(step.kind == STEP for step in found):
        return found
    slow = {worker.work[0].pk for worker in state.workers if worker.at == "inside"}
    before = state.deliveries

    def is_slow(step: Step) -> bool:
        rows = enumerate(step.after.deliveries)
        return all(pk in slow for pk, row in rows if row.lapsed and not before[pk].lapsed)

    return [step for step in found if step.kind != LAPSE or is_slow(step)]
