"""The steps of relay.py, routing.py and recovery.py.

One for each transaction, for each statement outside of them, and for each call to Redis.
"""

from collections.abc import Iterator, Sequence

from tests.model import verbs
from tests.model.rules import FAULT, STEP, Rules, Step
from tests.model.state import FRESH, PENDING, QUEUED, RELAYED, RUNNING, Job, Relay, State

IDLE = Relay()


def steps(state: State, number: int, rules: Rules) -> Iterator[Step]:
    """Return what this relay may do next."""
    relay, name = state.relays[number], f"relay {number + 1}"
    if relay.at == "idle":
        yield from _fan_out(state, number, name, rules)
        yield from _push_due(state, number, name, rules)
        if rules.reconciles:
            yield from _recover_running(state, number, name, rules)
            yield from _look_for_lapsed(state, number, name)
        return
    yield from _NEXT[relay.at](state, number, name, rules)
    yield Step(FAULT, f"{name} is killed", _at(state, number, IDLE))


def _at(state: State, number: int, relay: Relay) -> State:
    """Move on one relay; claims that have become none end its work."""
    if relay.at != "commit" and not relay.jobs:
        relay = IDLE
    return state._replace(relays=(*state.relays[:number], relay, *state.relays[number + 1 :]))


# Claim, COMMIT, push


def _fan_out(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    for ids in _batches(state, [pk for pk, e in enumerate(state.events) if e == FRESH]):
        yield from _claim(state, number, f"{name} fans out {_say(ids)}", ids, rules)
        # Or their queue is behind: then there is nothing to push.
        yield Step(STEP, f"{name} gathers {_say(ids)}, COMMIT", _gathered(state, ids))


def _push_due(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    for ids in _batches(state, [i for i, d in enumerate(state.deliveries) if d.status == PENDING]):
        yield from _claim(state, number, f"{name} claims {_say(ids)}", ids, rules)


def _batches(state: State, ids: Sequence[int]) -> list[tuple[int, ...]]:
    """What a batch may hold: everything, or one when another relay has locked the rest."""
    in_transaction = {pk for r in state.relays if r.at == "commit" for j in r.jobs for pk in j.ids}
    free = [pk for pk in ids if pk not in in_transaction]
    return [(pk,) for pk in free] + ([tuple(free)] if len(free) > 1 else [])


def _claim(
    state: State, number: int, label: str, ids: tuple[int, ...], rules: Rules
) -> Iterator[Step]:
    jobs = _cut(state, ids)
    if rules.commit_first:
        after = _at(_committed(state, jobs), number, Relay("push", jobs))
        yield Step(STEP, f"{label}, COMMIT", after)
    else:
        pushed = state._replace(redis=state.redis + jobs)
        yield Step(STEP, f"{label}, pushes", _at(pushed, number, Relay("commit", jobs)))


def _cut(state: State, ids: Sequence[int]) -> tuple[Job, ...]:
    """chunks.cut(): one chunk, but what once died with its worker goes alone."""
    token = state.new_token()
    alone = [pk for pk in ids if state.deliveries[pk].isolated]
    together = tuple(pk for pk in ids if pk not in alone)
    parts = [(pk,) for pk in alone] + ([together] if together else [])
    return tuple(Job(token + extra, part) for extra, part in enumerate(parts))


def _committed(state: State, jobs: Sequence[Job]) -> State:
    """create_queued() and mark_relayed(), or claim_due()."""
    claimed = {pk for job in jobs for pk in job.ids}
    return state._replace(
        events=tuple(RELAYED if pk in claimed else e for pk, e in enumerate(state.events)),
        deliveries=verbs.queue(state.deliveries, jobs),
    )


def _gathered(state: State, ids: Sequence[int]) -> State:
    """create_pending() and mark_relayed()."""
    return state._replace(
        events=tuple(RELAYED if pk in ids else e for pk, e in enumerate(state.events)),
        deliveries=verbs.gather(state.deliveries, ids),
    )


def _commit(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    after = _committed(state, state.relays[number].jobs)
    yield Step(STEP, f"{name} COMMITs", _at(after, number, IDLE))


def _push(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    jobs = state.relays[number].jobs
    pushed = state._replace(redis=state.redis + jobs)
    unsure = Relay("release", jobs)
    yield Step(STEP, f"{name} pushes {_say_jobs(jobs)}", _at(pushed, number, IDLE))
    yield Step(FAULT, f"{name} can't push {_say_jobs(jobs)}", _at(state, number, unsure))
    yield Step(FAULT, f"{name} pushes {_say_jobs(jobs)}, no answer", _at(pushed, number, unsure))


def _release(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    jobs = state.relays[number].jobs
    after = state._replace(deliveries=verbs.release(state.deliveries, jobs, rules))
    yield Step(STEP, f"{name} releases {_say_jobs(jobs)}", _at(after, number, IDLE))


# Reconcile


def _recover_running(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """One transaction: lock_lapsed_running(), settle() each, requeue() their chunks' rest."""
    taken = verbs.locked(state, rules)
    rows = state.deliveries
    lost = [pk for pk, d in enumerate(rows) if d.status == RUNNING and d.lapsed and pk not in taken]
    if not lost:
        return
    tokens = {rows[pk].token for pk in lost}
    for pk in lost:
        outcome = verbs.failed(rows[pk].attempts, rules, lost=True)
        rows = verbs.put(rows, pk, (outcome if rules.count_first else verbs.uncounted)(rows[pk]))
    rows = verbs.release(rows, verbs.claims(rows, QUEUED, tokens), rules)
    after = state._replace(deliveries=rows)
    yield Step(STEP, f"{name} finds the worker of {_say(lost)} lost, COMMIT", after)


def _look_for_lapsed(state: State, number: int, name: str) -> Iterator[Step]:
    lapsed = verbs.claims(state.deliveries, QUEUED)
    lapsed = tuple(job for job in lapsed if state.deliveries[job.ids[0]].lapsed)
    if lapsed:
        after = _at(state, number, Relay("look", lapsed))
        yield Step(STEP, f"{name} sees the lease of {_say_jobs(lapsed)} over", after)


def _see_running(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    claims = state.relays[number].jobs
    running = {d.token for d in state.deliveries if d.status == RUNNING}
    busy = tuple(job for job in claims if job.token in running)
    rest = tuple(job for job in claims if job not in busy)
    label = f"{name} sees workers at {_say_jobs(busy)}"
    yield Step(STEP, label, _at(_let_be(state, busy), number, Relay("ask", rest)))


def _ask_redis(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    waiting = {job.token for job in state.redis} if rules.asks_redis else set()
    claims = state.relays[number].jobs
    alive = tuple(job for job in claims if job.token in waiting)
    lost = tuple(job for job in claims if job not in alive)
    label = f"{name} asks Redis, {_say_jobs(lost)} lost"
    yield Step(STEP, label, _at(_let_be(state, alive), number, Relay("requeue", lost)))
    yield Step(FAULT, f"{name} can't ask Redis", _at(_let_be(state, claims), number, IDLE))


def _let_be(state: State, alive: Sequence[Job]) -> State:
    return state._replace(deliveries=verbs.let_be(state.deliveries, alive))


def _requeue(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    lost = state.relays[number].jobs
    after = state._replace(deliveries=verbs.release(state.deliveries, lost, rules))
    yield Step(STEP, f"{name} requeues {_say_jobs(lost)}", _at(after, number, IDLE))


_NEXT = {
    "push": _push,
    "commit": _commit,
    "release": _release,
    "look": _see_running,
    "ask": _ask_redis,
    "requeue": _requeue,
}


def _say(ids: Sequence[int]) -> str:
    return " and ".join(f"delivery {pk + 1}" for pk in ids)


def _say_jobs(jobs: Sequence[Job]) -> str:
    return ", ".join(f"claim {job.token} ({_say(job.ids)})" for job in jobs) or "nothing"
