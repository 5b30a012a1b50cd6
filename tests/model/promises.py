"""What must hold in every state, and in every last one."""

from tests.model.explorer import Check
from tests.model.rules import Rules
from tests.model.state import (
    ABSENT,
    DEAD,
    ENDED,
    OPEN,
    PENDING,
    QUEUED,
    RELAYED,
    ROLLED_BACK,
    RUNNING,
    SUCCEEDED,
    State,
)


def keeping(*promises: Check) -> Check:
    """Return the check that names the first of these promises that a state breaks."""

    def check(state: State, rules: Rules) -> str:
        return next((told for promise in promises if (told := promise(state, rules))), "")

    return check


def never_doubled(state: State, rules: Rules) -> str:
    """G3: at most one effect."""
    if any(row.effects > 1 for row in state.deliveries):
        return "G3: an effect was doubled"
    return ""


def acknowledged_together(state: State, rules: Rules) -> str:
    """G3: an effect where it has succeeded, and none where it has not."""
    if any((row.status == SUCCEEDED) != (row.effects > 0) for row in state.deliveries):
        return "G3: effect and acknowledgement do not agree"
    return ""


def at_least_once(state: State, rules: Rules) -> str:
    """G3 without atomic: what has succeeded has had its effect."""
    if any(row.status == SUCCEEDED and not row.effects for row in state.deliveries):
        return "G3: acknowledged without an effect"
    return ""


def attempts_agree(state: State, rules: Rules) -> str:
    """G4: every start is counted, every failure has its row, and nothing starts too often."""
    for row in state.deliveries:
        if row.attempts > rules.max_attempts:
            return "G4: more attempts than allowed"
        if row.attempts != row.failures + (row.status in (RUNNING, SUCCEEDED)):
            return "G4: attempts and failures do not agree"
        if row.status == DEAD and row.attempts < rules.max_attempts:
            return "G4: dead with attempts left"
    return ""


def one_at_a_time(state: State, rules: Rules) -> str:
    """A subscriber is never called for a delivery for which one is being called."""
    called = [worker.work[0].pk for worker in state.workers if worker.at == "inside"]
    if len(called) != len(set(called)):
        return "a slow subscriber was started twice"
    return ""


def one_of_a_claim(state: State, rules: Rules) -> str:
    """G4: at most one delivery of a chunk runs, so a crash costs one attempt.

    Unless the job is put back beside its living worker: then each of the two runs one.
    """
    running = [row.token for row in state.deliveries if row.status == RUNNING]
    if len(running) != len(set(running)) and not rules.duplicates:
        return "G4: two deliveries of one claim run"
    return ""


def claims_are_clean(state: State, rules: Rules) -> str:
    """Under a claim if and only if queued or running; relayed if and only if it has a delivery."""
    for event, row in zip(state.events, state.deliveries, strict=True):
        if row.status in (ABSENT, PENDING) and row.token:
            return "a delivery at rest has a token"
        if row.status in (QUEUED, RUNNING) and not row.token:
            return "a claimed delivery has no token"
        if (event == RELAYED) != (row.status != ABSENT):
            return "G1: event and delivery do not agree"
    return ""


def nothing_piles_up(state: State, rules: Rules) -> str:
    """G7: one job that could start a delivery, and no more useless ones than faults."""
    for pk, row in enumerate(state.deliveries):
        jobs = [job for job in state.redis if pk in job.ids]
        useful = [job for job in jobs if row.status == QUEUED and job.token == row.token]
        if len(useful) > 1 and not rules.duplicates:
            return "G7: two jobs could start one delivery"
        if len(jobs) > 1 + state.faults:
            return "G7: jobs pile up"
    return ""


def nothing_is_forgotten(state: State, rules: Rules) -> str:
    """Without a fault, whatever is claimed is in somebody's hands."""
    if state.faults or rules.poison:
        return ""
    carried = {job.token for job in state.redis}
    carried |= {job.token for relay in state.relays if relay.at == "push" for job in relay.jobs}
    carried |= {worker.job.token for worker in state.workers}
    if any(
        row.status in (QUEUED, RUNNING) and row.token not in carried for row in state.deliveries
    ):
        return "a claim was lost though nothing broke"
    return ""


def never_failed(state: State, rules: Rules) -> str:
    """Where no subscriber fails and no worker dies, no attempt fails."""
    if any(row.failures for row in state.deliveries):
        return "a subscriber that was only slow has a failed attempt"
    return ""


PROMISES = (
    claims_are_clean,
    never_doubled,
    acknowledged_together,
    attempts_agree,
    one_at_a_time,
    one_of_a_claim,
    nothing_piles_up,
    nothing_is_forgotten,
)


def complete(state: State) -> bool:
    """G2: nothing is left to do, and nobody is doing anything."""
    return (
        not state.redis
        and all(relay.at == "idle" for relay in state.relays)
        and all(worker.at == "idle" for worker in state.workers)
        and all(event != OPEN for event in state.events)
        and all(
            row.status in ENDED
            for row, event in zip(state.deliveries, state.events, strict=True)
            if event != ROLLED_BACK
        )
    )


# Without atomic a subscriber may run twice, also at once; what it did is acknowledged after it.
BARE_PROMISES = (
    *(p for p in PROMISES if p not in (never_doubled, acknowledged_together, one_at_a_time)),
    at_least_once,
)
