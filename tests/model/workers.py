"""The steps of consumer.py.

One for each transaction, for each statement outside of them, and for each call to Redis; a
subscriber's transaction has one for its lock and one for the rest, which shows all at once.
"""

from collections.abc import Iterator

from tests.model import verbs
from tests.model.rules import FAULT, SLOW, STEP, Rules, Step
from tests.model.state import QUEUED, RUNNING, SUCCEEDED, Delivery, Execution, Job, State, Worker

IDLE = Worker()


def steps(state: State, number: int, rules: Rules) -> Iterator[Step]:
    """Return what this worker may do next."""
    worker, name = state.workers[number], f"worker {number + 1}"
    if worker.at == "idle":
        yield from _pop(state, number, name)
        return
    yield from _NEXT[worker.at](state, number, name, rules)
    yield Step(FAULT, f"{name} is killed", _at(state, number, IDLE))
    if rules.duplicates:
        again = state._replace(redis=(*state.redis, worker.job))
        yield Step(FAULT, f"someone puts the job of {name} back into Redis", again)


def _at(state: State, number: int, worker: Worker) -> State:
    """Move on one worker; without any work left it ends its job."""
    if worker.at != "read" and not worker.work:
        worker = IDLE
    return state._replace(workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def _pop(state: State, number: int, name: str) -> Iterator[Step]:
    for job in sorted(set(state.redis)):
        left = list(state.redis)
        left.remove(job)
        after = _at(state._replace(redis=tuple(left)), number, Worker("read", job))
        yield Step(STEP, f"{name} pops the job of claim {job.token}", after)


def _read(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """_startable()"""
    job = state.workers[number].job
    rows = [(pk, state.deliveries[pk]) for pk in job.ids]
    work = tuple(
        Execution(pk, row.attempts) for pk, row in rows if verbs.held(row, QUEUED, job.token, rules)
    )
    yield Step(STEP, f"{name} reads {_say(work)}", _at(state, number, Worker("start", job, work)))


def _start(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    _, job, work = state.workers[number]
    rows, started = verbs.start(state.deliveries, work[0].pk, job.token, rules)
    after = Worker("lock", job, work) if started else Worker("start", job, work[1:])
    label = f"{name} {'starts' if started else 'may not start'} {_say(work[:1])}"
    yield Step(STEP, label, _at(state._replace(deliveries=rows), number, after))
    leaving = _at(state, number, Worker("give back", job, work))
    if started:
        unsure = leaving._replace(deliveries=rows)
        yield Step(FAULT, f"{label}, no answer", unsure)
    yield Step(SLOW, f"{name} has used its time slice", leaving)


def _lock(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """_run_atomic() as far as the subscriber; without atomic, nothing is locked or looked at."""
    _, job, work = state.workers[number]
    if work[0].pk in verbs.locked(state, rules):
        return
    row = state.deliveries[work[0].pk]
    reads = rules.atomic and rules.row_lock
    if not reads or verbs.held(row, RUNNING, job.token, rules):
        inside = _at(state, number, Worker("inside", job, work))
        yield Step(STEP, f"{name} calls the subscriber of {_say(work[:1])}", inside)
    else:
        after = _at(state, number, Worker("start", job, work[1:]))
        yield Step(STEP, f"{name} has lost {_say(work[:1])}", after)


def _inside(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """The subscriber runs; what it writes shows with its commit, unless it isn't atomic."""
    _, job, work = state.workers[number]
    what = _say(work[:1])
    if work[0].pk in rules.poison:
        yield Step(STEP, f"{what} kills {name}", _at(state, number, IDLE))
        return
    if "succeed" in rules.outcomes and rules.atomic:
        yield from _commit(state, number, name, rules)
    elif "succeed" in rules.outcomes:
        rows = _with_effect(state.deliveries, work[0].pk)
        after = _at(state._replace(deliveries=rows), number, Worker("settle", job, work))
        yield Step(STEP, f"{name}: {what} has its effect", after)
    for outcome in ("fail", "exit", "defer"):
        if outcome in rules.outcomes:
            after = _at(state, number, Worker(outcome, job, work))
            yield Step(STEP if outcome != "defer" else SLOW, f"{name}: {what}: {outcome}", after)


def _commit(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """The rest of _run_atomic(): acknowledge, start the following, COMMIT; or roll back."""
    _, job, work = state.workers[number]
    what = _say(work[:1])
    for then in _followings(work):
        kind, label = _slice(then, work, f"{name}: {what} succeeds")
        rows, is_done, is_next_started = _acknowledge(state.deliveries, job, work, then, rules)
        if not is_done:
            after = _at(state, number, Worker("start", job, work[1:]))
            yield Step(kind, f"{name} is stale, rolls {what} back", after)
            continue
        committed = state._replace(deliveries=_with_effect(rows, work[0].pk))
        following = Worker("lock" if is_next_started else "start", job, work[1:])
        yield Step(kind, f"{label}, COMMIT", _at(committed, number, following))
        if kind == STEP:
            unsure = _at(committed, number, Worker("fail", job, work))
            yield Step(FAULT, f"{label}, COMMIT, no answer", unsure)


def _settle_bare(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """The rest of _run_bare(): acknowledge what is done already."""
    _, job, work = state.workers[number]
    for then in _followings(work):
        kind, label = _slice(then, work, f"{name} settles {_say(work[:1])}")
        rows, _, is_next_started = _acknowledge(state.deliveries, job, work, then, rules)
        following = Worker("lock" if is_next_started else "start", job, work[1:])
        yield Step(kind, label, _at(state._replace(deliveries=rows), number, following))


def _acknowledge(
    rows: verbs.Rows, job: Job, work: tuple[Execution, ...], then: int | None, rules: Rules
) -> tuple[verbs.Rows, bool, bool]:
    """_acknowledge(), which sees only how many rows were changed."""
    outcome = verbs.succeeded if rules.count_first else verbs.counted(verbs.succeeded)
    settled = verbs.settle(rows, work[0].pk, outcome, token=job.token, then=then, rules=rules)
    changed = settled.done + settled.started
    is_done = changed > 0
    if len(work) > 1 and changed == 1:
        is_done = verbs.held(settled.rows[work[0].pk], SUCCEEDED, job.token, rules)
    return settled.rows, is_done, changed - is_done == 1


def _settle_failure(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    """_record(), one transaction with lock_running() and settle(); or _after_settled()."""
    at, job, work = state.workers[number]
    pk, what = work[0].pk, _say(work[:1])
    if pk in verbs.locked(state, rules):
        return
    if not verbs.held(state.deliveries[pk], RUNNING, job.token, rules):
        goes_on = len(work) > 1 and _is_running(state, work[1].pk, job, rules)
        after = _left(at, job, work[1:], goes_on)
        yield Step(STEP, f"{name} finds {what} settled", _at(state, number, after))
        return
    outcome = _verdict(at, work[0].attempts + 1, rules)
    for then in [None] if at == "exit" else _followings(work):
        settled = verbs.settle(
            state.deliveries, pk, outcome, token=job.token, then=then, rules=rules
        )
        recorded = state._replace(deliveries=settled.rows)
        kind, label = _slice(then, work, f"{name} records the {at} of {what}")
        if at == "exit":
            kind = STEP
        after = _left(at, job, work[1:], settled.started)
        yield Step(kind, f"{label}, COMMIT", _at(recorded, number, after))
        if kind == STEP:
            # It is tried once more, and finds nothing to do.
            yield Step(FAULT, f"{label}, COMMIT, no answer", recorded)


def _verdict(at: str, attempts: int, rules: Rules) -> verbs.Outcome:
    """judge()"""
    if at == "defer":
        return verbs.deferred(attempts)
    outcome = verbs.failed(attempts, rules)
    return outcome if rules.count_first else verbs.counted(outcome)


def _give_back(state: State, number: int, name: str, rules: Rules) -> Iterator[Step]:
    _, job, work = state.workers[number]
    rest = Job(job.token, tuple(item.pk for item in work))
    rows = verbs.release(state.deliveries, [rest], rules)
    after = _at(state._replace(deliveries=rows), number, IDLE)
    yield Step(STEP, f"{name} gives {_say(work)} back", after)


_NEXT = {
    "read": _read,
    "start": _start,
    "lock": _lock,
    "inside": _inside,
    "settle": _settle_bare,
    "fail": _settle_failure,
    "exit": _settle_failure,
    "defer": _settle_failure,
    "give back": _give_back,
}


def _followings(work: tuple[Execution, ...]) -> list[int | None]:
    """What may be started with the same statement: nothing, once the time slice is used."""
    return [work[1].pk, None] if len(work) > 1 else [None]


def _slice(then: int | None, work: tuple[Execution, ...], label: str) -> tuple[str, str]:
    if then is None and len(work) > 1:
        return SLOW, f"{label} (time slice used)"
    return STEP, label if then is None else f"{label}, starts {_say(work[1:2])}"


def _left(at: str, job: Job, rest: tuple[Execution, ...], is_started: bool) -> Worker:
    if at == "exit":
        return Worker("give back", job, rest)
    return Worker("lock" if is_started else "start", job, rest)


def _with_effect(rows: verbs.Rows, pk: int) -> tuple[Delivery, ...]:
    return verbs.put(rows, pk, rows[pk]._replace(effects=rows[pk].effects + 1))


def _is_running(state: State, pk: int, job: Job, rules: Rules) -> bool:
    return verbs.held(state.deliveries[pk], RUNNING, job.token, rules)


def _say(work: tuple[Execution, ...]) -> str:
    return " and ".join(f"delivery {item.pk + 1}" for item in work) or "nothing"
