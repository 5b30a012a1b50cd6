"""The peers as contestants of the measures, and what the report says about them."""

import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from benchmarks.measure import Absent, Bar, Measure, Run, Size
from benchmarks.peers import environments, processes
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.processes import PeerProcess

SEVERAL = 5
RATE = 20


def publishes(peer: PeerProcess, size: Size) -> float:
    return float(peer.ask("transactions", count=size.transactions))


def publishes_many(peer: PeerProcess, size: Size) -> float:
    return float(peer.ask("transactions_of_many", count=size.transactions, events=SEVERAL))


def drains(peer: PeerProcess, size: Size) -> float:
    return float(peer.ask("drained", count=size.events))


def consumes(peer: PeerProcess, size: Size) -> float:
    return float(peer.ask("consumed", count=size.jobs))


def waits(peer: PeerProcess, size: Size) -> float:
    return float(peer.ask("waits", rate=RATE, seconds=size.traffic_seconds))


def waits_at_most(peer: PeerProcess, size: Size) -> float:
    """Return the p99 of the traffic whose p50 was asked for before."""
    return float(peer.ask("percentile", share=0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a peer does in a measure, and what is compared with it."""

    run: Callable[[PeerProcess, Size], float]
    # Behind the peer's name, where it has several figures.
    suffix: str = ""
    # The ratio is the library's figure by the peer's, or the peer's by that of this contestant.
    library: str = ""
    over: str = ""

    def bar(self, name: str) -> Bar:
        if self.over:
            return Bar(name=f"{name} ÷ {self.over}", of=name, over=self.over)
        return Bar(name=f"{self.library} ÷ {name}", of=self.library, over=name)


PARTS: Mapping[str, Sequence[Part]] = {
    "P1": (Part(run=publishes, over="without"),),
    "P2": (Part(run=publishes_many, over="without"),),
    "P3": (Part(run=drains, library="library"),),
    "P6": (Part(run=consumes, library="library"),),
    "P7": (
        Part(run=waits, suffix=" p50", library="library p50"),
        Part(run=waits_at_most, suffix=" p99", library="library p99"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A peer in a run: its process and its versions, or why it has none."""

    peer: Peer
    process: PeerProcess | None = None
    versions: str = ""
    trouble: str = ""

    def missing(self, number: str) -> str:
        """Say why it has no part in this measure; nothing if it has one."""
        if self.trouble:
            return self.trouble
        if number in self.peer.blank:
            return self.peer.blank[number]
        if number in self.peer.stomp and not answers(processes.stomp()):
            return f"needs a broker that speaks STOMP, and none answers at {processes.stomp()}"
        return ""


class Field:
    """All peers of a run."""

    def __init__(self, standings: Iterable[Standing]) -> None:
        self.standings = tuple(standings)

    def joined(self, measure: Measure) -> Measure:
        """Return the measure with every peer among its contestants, or named with the reason."""
        contestants, bars = dict(measure.contestants), list(measure.bars)
        absent = dict(measure.absent)
        for part in PARTS.get(measure.number, ()):
            for standing in self.standings:
                name = standing.peer.name + part.suffix
                if why := standing.missing(measure.number):
                    absent[name] = why
                else:
                    contestants[name] = turn(standing, part)
                    bars.append(part.bar(name))
        return replace(measure, contestants=contestants, bars=bars, absent=absent)

    def described(self) -> dict[str, str]:
        """Return the lines of the report's head, one for each peer."""
        return {s.peer.name: s.versions or s.trouble for s in self.standings}


def turn(standing: Standing, part: Part) -> Run:
    process = standing.process
    if process is None:
        raise ValueError(f"{standing.peer.name} does not run.")
    return lambda size: part.run(process, size)


@contextmanager
def field(peers: Sequence[Peer], *, database: str) -> Iterator[Field]:
    """Make each peer's environment and start its process, for as long as the block lasts."""
    with ExitStack() as stack:
        yield Field([_standing(peer, stack, database) for peer in peers])


def _standing(peer: Peer, stack: ExitStack, database: str) -> Standing:
    print(f"{peer.name}: looking for its environment", file=sys.stderr)  # noqa: T201
    try:
        if database != "postgresql":
            raise Absent("is measured on PostgreSQL only")
        process = stack.enter_context(processes.asked(peer, environments.python(peer)))
        return Standing(peer=peer, process=process, versions=_versions(process))
    except Absent as why:
        return Standing(peer=peer, trouble=str(why))


def _versions(process: PeerProcess) -> str:
    return str(process.ask("versions", names=[*process.peer.packages, "django"]))


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True
