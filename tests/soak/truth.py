"""What must have come of the orders that were committed, and what did."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# Whose effects there must be, once for each order of the kind.
ATOMIC = {
    "placed": ("soak.reserve", "soak.bill", "soak.audit"),
    "paid": ("soak.mail", "soak.audit"),
    "shipped": ("soak.mail", "soak.audit"),
    "refused": ("soak.audit",),
}
# With atomic=False at least once.
BARE = {"shipped": ("soak.bare",)}
# Whose deliveries must end dead, and leave no effect.
DOOMED = {"refused": ("soak.doomed",)}

# A subscriber, and the number of an order, such as "placed:0.17.2".
Work = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a soak has found. Everything but counts is a list of sentences, empty if all is well."""

    events: int
    deliveries: int
    dead: int
    # Effects of subscribers with atomic=False beyond the first: allowed.
    repeated: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    # Effects of what was never committed, or of an attempt that failed.
    unfounded: list[str] = field(default_factory=list)
    # Dead letters that should be none, and the other way round.
    wrongly_dead: list[str] = field(default_factory=list)
    not_dead: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        lists = (self.lost, self.doubled, self.unfounded, self.wrongly_dead, self.not_dead)
        return not any(lists)


def compare(orders: Iterable[str], effects: Iterable[Work], dead: Iterable[Work]) -> Findings:
    """Compare the orders that are there with what subscribers wrote, and with the dead letters."""
    placed, done, buried = Counter(orders), Counter(effects), set(dead)
    # Written by soak.bill, together with its effect: an order of its own for each.
    followed = {
        number: f"paid:{number.partition(':')[2]}" for number in placed if is_placed(number)
    }
    once = set(works(placed, ATOMIC))
    at_least_once = set(works(placed, BARE))
    doomed = set(works(placed, DOOMED))
    lost = [f"{who} of {number}" for who, number in sorted((once | at_least_once) - set(done))]
    lost += [f"{paid}, which follows {n}" for n, paid in followed.items() if paid not in placed]
    doubled = [f"{who} of {n}, {done[who, n]} times" for who, n in once if done[who, n] > 1]
    doubled += [
        f"{paid}, published {placed[paid]} times" for paid in followed.values() if placed[paid] > 1
    ]
    strange = set(done) - once - at_least_once
    return Findings(
        events=len(placed),
        deliveries=len(once) + len(at_least_once) + len(doomed),
        dead=len(buried & doomed),
        repeated=sum(done[work] - 1 for work in at_least_once if done[work]),
        lost=lost,
        doubled=sorted(doubled),
        unfounded=[f"{who} of {number}" for who, number in sorted(strange)],
        wrongly_dead=[f"{who} of {number}" for who, number in sorted(buried - doomed)],
        not_dead=[f"{who} of {number}" for who, number in sorted(doomed - buried)],
    )


def is_placed(number: str) -> bool:
    return number.startswith("placed:")


def works(orders: Iterable[str], subscribers: Mapping[str, tuple[str, ...]]) -> Iterable[Work]:
    """Return who has to do with each order."""
    for number in orders:
        for subscriber in subscribers.get(number.partition(":")[0], ()):
            yield subscriber, number
