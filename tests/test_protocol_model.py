"""Every order of events, in a model of the protocol: what holds, and what each rule is for."""

import pytest

from tests.model.explorer import Check, Exploration, at_rest, endless, explore
from tests.model.promises import (
    BARE_PROMISES,
    PROMISES,
    attempts_agree,
    complete,
    keeping,
    never_doubled,
    never_failed,
    nothing_is_forgotten,
    nothing_piles_up,
    one_at_a_time,
)
from tests.model.rules import Rules
from tests.model.state import DEAD, OPEN, QUEUED, RUNNING, SUCCEEDED, State, initial

# A model asks no database.
pytestmark = [pytest.mark.once, pytest.mark.thorough]

SUCCEED = frozenset({"succeed"})
ANYTHING = frozenset({"succeed", "fail", "exit", "defer"})
POISON = frozenset({0})
ALONE = initial(events=1, relays=1, workers=1, status=OPEN)
CONTENDED = initial(events=1, relays=2, workers=2)
TWO_WORKERS = initial(events=1, relays=1, workers=2)
CHUNK = initial(events=2, relays=1, workers=1)

# Kept small enough for every run of the suite. What larger ones would show is not known.
WORLDS = {
    "two relays, two workers, two faults": (
        CONTENDED,
        Rules(faults=2, duplicates=True),
    ),
    "three attempts, three faults": (
        ALONE,
        Rules(faults=3, outcomes=ANYTHING, duplicates=True, max_attempts=3),
    ),
    "a chunk and a fault": (CHUNK, Rules(outcomes=SUCCEED)),
    "a chunk and whatever subscribers do": (CHUNK, Rules(outcomes=ANYTHING, faults=0)),
    "a chunk and two workers": (
        initial(events=2, relays=1, workers=2),
        Rules(outcomes=SUCCEED, faults=0),
    ),
    "a chunk, two workers and a fault": (
        initial(events=2, relays=1, workers=2),
        Rules(outcomes=SUCCEED),
    ),
    "a chunk and two relays": (
        initial(events=2, relays=2, workers=1),
        Rules(outcomes=SUCCEED, faults=0, max_attempts=1),
    ),
}


def explored(start: State, rules: Rules, *promises: Check) -> Exploration:
    """Explore, and print how much that was."""
    found = explore(start, rules, keeping(*promises))
    print(f"{len(found.states)} states, {found.step_count} steps")
    return found


def shortest_break(start: State, rules: Rules, *promises: Check) -> str:
    """Return the promise that is broken, and print the shortest way to break it."""
    found = explored(start, rules, *promises)
    if found.broken:
        print(*[found.broken, *found.trace(found.last)], sep="\n  ")
    return found.broken


def assert_ends_well(found: Exploration) -> None:
    """From wherever it got to: once nothing breaks any more, everything is delivered."""
    assert not found.broken, "\n".join([found.broken, *found.trace(found.last)])
    for number in sorted(endless(found))[:1]:
        raise AssertionError("\n".join(["This can go on for ever:", *found.trace(number)]))
    for number in at_rest(found):
        state = found.states[number]
        assert complete(state), "\n".join(["This is stuck:", *found.trace(number), str(state)])


@pytest.mark.parametrize("world", WORLDS)
def test_every_order_of_events_keeps_every_promise(world: str):
    """G1, G2, G3, G4 and G7: crashes, a Redis that is emptied, frozen processes, jobs put back."""
    found = explored(*WORLDS[world], *PROMISES)
    assert_ends_well(found)
    last = {row.status for n in at_rest(found) for row in found.states[n].deliveries}
    assert SUCCEEDED in last


def test_without_atomic_every_event_is_delivered_at_least_once():
    """G2, G3: what is promised where the acknowledgement is a commit of its own."""
    found = explored(CONTENDED, Rules(atomic=False, duplicates=True), *BARE_PROMISES)
    assert_ends_well(found)
    assert any(row.effects > 1 for state in found.states for row in state.deliveries)


def test_what_kills_its_worker_dies_and_its_neighbour_loses_no_attempt():
    """G4: in every order of events where nothing else is slow or breaks."""
    rules = Rules(poison=POISON, outcomes=SUCCEED, faults=0, prompt=True, max_attempts=3)
    found = explored(initial(events=2, relays=1, workers=2), rules, *PROMISES)
    assert_ends_well(found)
    assert not any(state.deliveries[1].failures for state in found.states)
    ends = [found.states[number].deliveries for number in at_rest(found)]
    assert {(row.status, row.attempts) for row, _ in ends} == {(DEAD, 3)}
    assert {(row.status, row.attempts) for _, row in ends} == {(SUCCEEDED, 1)}


def test_a_subscriber_slower_than_its_lease_is_left_alone():
    """G3: the row lock tells that its worker lives."""
    rules = Rules(outcomes=SUCCEED, faults=0, prompt=True)
    found = explored(initial(events=2, relays=2, workers=2), rules, *PROMISES, never_failed)
    assert_ends_well(found)
    assert any(row.lapsed for state in found.states for row in state.deliveries)


def test_leaving_out_what_changes_nothing_hides_nothing():
    """The shortcut that keeps the model small is itself held to the long way."""

    def results(*, forgets: bool) -> set[object]:
        found = explored(TWO_WORKERS, Rules(forgets=forgets), *PROMISES)
        return {_without_names(state) for state in found.states}

    assert results(forgets=True) == results(forgets=False)


def _without_names(state: State) -> object:
    rows = tuple(row._replace(token=0) for row in state.deliveries)
    return state.events, rows, tuple(job.ids for job in state.redis), state.faults


# What each rule is for: the model without it


def test_without_the_token_a_frozen_worker_gives_an_attempt_too_many():
    """Its late failure is written over another's attempt, and judged by its own count."""
    rules = Rules(by_token=False, forgets=False, faults=0)
    assert shortest_break(TWO_WORKERS, rules, attempts_agree) == "G4: more attempts than allowed"


def test_without_the_token_a_late_give_back_has_jobs_pile_up():
    """It takes back what is under another's claim by now.

    No effect is doubled by that, nor by an attempt too many: effects are committed together with
    RUNNING to SUCCEEDED, which the state in the guards lets through once.
    """
    rules = Rules(by_token=False, forgets=False, faults=0)
    assert shortest_break(TWO_WORKERS, rules, nothing_piles_up) == "G7: jobs pile up"


def test_without_the_state_in_the_guards_effects_are_doubled():
    """The token alone does not tell: what has succeeded keeps it, and a late give-back has it."""
    rules = Rules(by_state=False, forgets=False, faults=0, outcomes=SUCCEED)
    assert shortest_break(TWO_WORKERS, rules, never_doubled) == "G3: an effect was doubled"


def test_without_the_row_lock_a_slow_subscriber_is_started_twice():
    rules = Rules(row_lock=False, faults=0, outcomes=SUCCEED)
    broken = shortest_break(TWO_WORKERS, rules, one_at_a_time)
    assert broken == "a slow subscriber was started twice"


def test_without_the_row_lock_a_slow_subscriber_loses_its_attempts():
    rules = Rules(row_lock=False, faults=0, outcomes=SUCCEED, prompt=True)
    broken = shortest_break(CHUNK, rules, never_failed)
    assert broken == "a subscriber that was only slow has a failed attempt"


def test_without_the_row_lock_the_fence_still_keeps_effects_single():
    rest = [promise for promise in PROMISES if promise is not one_at_a_time]
    found = explored(CONTENDED, Rules(row_lock=False, duplicates=True), *rest)
    assert_ends_well(found)


def test_pushing_before_the_commit_loses_a_claim_though_nothing_breaks():
    """The worker is there first, and finds nothing to do; only the lease brings it back."""
    rules = Rules(commit_first=False, faults=0)
    broken = shortest_break(TWO_WORKERS, rules, nothing_is_forgotten)
    assert broken == "a claim was lost though nothing broke"


def test_counting_attempts_at_their_end_lets_poison_kill_workers_for_ever():
    rules = Rules(poison=POISON, outcomes=SUCCEED, faults=0, count_first=False)
    found = explore(CHUNK, rules, keeping(), only_calm=True)
    round_and_round = endless(found)
    print(*found.trace(max(round_and_round)), sep="\n  ")
    assert len(round_and_round) == len(found.states)
    assert not any(state.deliveries[0].status == DEAD for state in found.states)


def test_without_reconciling_leases_one_fault_loses_an_event():
    """Whatever it was that broke: a relay, a worker, or Redis."""
    found = explored(TWO_WORKERS, Rules(reconciles=False, outcomes=SUCCEED), *PROMISES)
    stuck = [number for number in at_rest(found) if not complete(found.states[number])]
    for number in stuck:
        print(*["This is lost:", *found.trace(number)], sep="\n  ")
    assert {row.status for n in stuck for row in found.states[n].deliveries} == {QUEUED, RUNNING}


def test_without_asking_redis_a_slow_queue_has_jobs_pile_up():
    rules = Rules(asks_redis=False, faults=0)
    assert shortest_break(TWO_WORKERS, rules, nothing_piles_up) == "G7: jobs pile up"
