"""Breadth first through every state that can be reached, so that what it finds is shortest."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model.protocol import calm, steps
from tests.model.rules import Rules
from tests.model.state import State, canonical

# More states than this are a mistake in the rules: something grows without bounds.
LIMIT = 300_000
Check = Callable[[State, Rules], str]


@dataclass(slots=True)
class Exploration:
    """Every state that was reached, or, with `broken`, those up to the first bad one."""

    rules: Rules
    start: State
    states: list[State] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    # For each state, those that follow when nothing breaks and nothing is slow.
    calm: list[tuple[int, ...]] = field(default_factory=list)
    broken: str = ""
    step_count: int = 0

    @property
    def last(self) -> int:
        """The number of the state that was looked at last: the bad one, if any is."""
        return min(len(self.calm), len(self.states) - 1)

    def trace(self, number: int) -> list[str]:
        """Return the shortest way to a state, in words."""
        way = [number]
        while self.parents[way[-1]] >= 0:
            way.append(self.parents[way[-1]])
        return retell(self.start, [self.states[n] for n in reversed(way)], self.rules)


def explore(start: State, rules: Rules, check: Check, *, only_calm: bool = False) -> Exploration:
    """Visit every state; stop at the first of which `check` has something to say."""
    found = Exploration(rules, start, states=[canonical(start)], parents=[-1])
    numbers = {found.states[0]: 0}
    states, parents = found.states, found.parents
    for number, state in enumerate(states):
        if problem := check(state, rules):
            found.broken = problem
            break
        possible = steps(state, rules)
        quiet = calm(possible)
        following = []
        for step in quiet if only_calm else possible:
            after = canonical(step.after)
            known = numbers.get(after)
            if known is None:
                if len(states) == LIMIT:
                    raise OverflowError(f"More than {LIMIT} states under {rules}.")
                known = numbers[after] = len(states)
                states.append(after)
                parents.append(number)
            following.append((step, known))
        found.step_count += len(following)
        allowed = {id(step) for step in quiet}
        found.calm.append(tuple({n for step, n in following if id(step) in allowed}))
    return found


def endless(found: Exploration) -> set[int]:
    """Return the states from which, with nothing breaking any more, one can go on for ever."""
    before: list[list[int]] = [[] for _ in found.states]
    ways_left = [len(after) for after in found.calm]
    for number, after in enumerate(found.calm):
        for later in after:
            before[later].append(number)
    settled = [number for number, ways in enumerate(ways_left) if not ways]
    for number in settled:
        for earlier in before[number]:
            ways_left[earlier] -= 1
            if not ways_left[earlier]:
                settled.append(earlier)
    return set(range(len(found.states))) - set(settled)


def at_rest(found: Exploration) -> list[int]:
    """Return the states in which nothing happens any more unless something breaks."""
    return [number for number, after in enumerate(found.calm) if not after]


def retell(start: State, way: list[State], rules: Rules) -> list[str]:
    """Walk a way of canonical states again, with names that stay the same along it."""
    told, state = [], start
    for target in way[1:]:
        step = next(s for s in steps(state, rules) if canonical(s.after) == target)
        told.append(step.label)
        state = step.after
    return told
