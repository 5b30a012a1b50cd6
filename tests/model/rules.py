"""What the protocol does by its rules, so that each can be left out to see what it is for."""

from dataclasses import dataclass
from typing import NamedTuple

from tests.model.state import State

# What may happen next: a step of the protocol; slowness; time that passes; something breaks.
STEP, SLOW, LAPSE, FAULT = "step", "slow", "lapse", "fault"


class Step(NamedTuple):
    """Something that may happen in a state, and the state after it."""

    kind: str
    label: str
    after: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The protocol as it is, by default."""

    max_attempts: int = 2
    # The most faults in one history.
    faults: int = 1
    # What a subscriber may do: succeed, fail, exit the process, ask for later.
    outcomes: frozenset[str] = frozenset({"succeed", "fail"})
    # Deliveries whose subscriber always kills its worker.
    poison: frozenset[int] = frozenset()
    # Among the faults is that a job is put back into Redis while its worker still lives.
    duplicates: bool = False
    # Subscribers acknowledge in the transaction of their writes; otherwise after it.
    atomic: bool = True
    # Time passes only where nothing else can happen, or while a subscriber runs.
    prompt: bool = False
    # Steps that can change nothing are left out.
    forgets: bool = True

    # The fence is the two guards of every verb: the claim's token, and the row's state.
    by_token: bool = True
    by_state: bool = True
    # The row of a running delivery is locked, and who holds the lock is left alone.
    row_lock: bool = True
    # Claims are committed before they are pushed.
    commit_first: bool = True
    # An attempt is counted when it starts, rather than when it ends.
    count_first: bool = True
    # Lapsed leases are looked into; and Redis is asked before anything is pushed again.
    reconciles: bool = True
    asks_redis: bool = True
