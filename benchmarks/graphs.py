"""`python -m benchmarks.graphs`: the graphs of docs/explanation/performance.md, on PostgreSQL."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.place import place
from benchmarks.svg import Graph, Line, Points

# Events a second.
SUSTAINED = (200, 300, 400, 600)
HISTORY = (0, 50_000, 200_000, 500_000, 1_000_000)


def main() -> None:
    # Ended by the system, too, it takes its database and its Redis with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _arguments()
    console = Console(stderr=True)
    with place("postgresql") as environment:
        os.environ.update(environment)
        from benchmarks.run import prepare

        prepare()
        options.output.mkdir(parents=True, exist_ok=True)
        for name in [options.only] if options.only else GRAPHS:
            console.print(f"{name}: measuring")
            (options.output / f"{name}.svg").write_text(GRAPHS[name](options).svg())
    console.print(f"The graphs are in {options.output}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphs", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images"), metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual events and minutes")
    parser.add_argument("--rates", type=int, nargs="+", default=SUSTAINED, metavar="EVENTS")
    parser.add_argument("--only", choices=GRAPHS, help="this graph alone")
    return parser.parse_args()


def history(options: argparse.Namespace) -> Graph:
    """Draw how fast a relay drains beside more and more finished events."""
    # Late: they import models.
    from benchmarks.draining import beside_finished
    from benchmarks.measure import Size

    few = max(1, int(Size().few * options.share))
    counts = [int(count * options.share) for count in HISTORY]
    rounds = []
    for _ in range(options.rounds):
        rates = [beside_finished(Size(few=few, finished=count)) for count in counts]
        rounds.append([rate / rates[0] for rate in rates])
    medians = list(map(median, zip(*rounds, strict=True)))
    return Graph(
        title="Draining, beside finished events",
        across="finished events in the table",
        up="speed ÷ speed with none",
        lines=[Line(name="library", points=list(zip(counts, medians, strict=True)))],
    )


def held(options: argparse.Namespace) -> Graph:
    """Draw how long a claim takes, with and without a transaction that is held open elsewhere."""
    from benchmarks.draining import claims
    from benchmarks.measure import Size

    size = Size(held=max(1, int(Size().held * options.share)))
    without: list[list[float]] = []
    beside: list[list[float]] = []
    for _ in range(options.rounds):
        alone = claims(size)
        usual = median(alone)
        without.append([value / usual for value in alone])
        beside.append([value / usual for value in claims(size, beside=True)])
    return Graph(
        title="A claim, beside a transaction that is held open",
        across="events gone through",
        up="time ÷ median without it",
        lines=[
            Line(name="without it", points=smoothed(without, size.held)),
            Line(name="beside it", points=smoothed(beside, size.held)),
        ],
    )


def sustained(options: argparse.Namespace) -> Graph:
    """Draw the backlog over the time, at higher and higher rates of publishing."""
    from benchmarks.measure import Size
    from benchmarks.sustained import Stretch

    size = Size(sustained_seconds=Size().sustained_seconds * options.share)
    lines = []
    for rate in options.rates:
        stretch = Stretch(rate)
        stretch.growth(size)
        # A machine that can't publish as fast shows no more than that.
        name = f"{min(rate, round(stretch.published)):,}/s"
        lines.append(Line(name=name, points=stretch.points))
    return Graph(
        title="What is not finished, at a steady rate",
        across="seconds",
        up="events and deliveries",
        lines=lines,
    )


def smoothed(rounds: Sequence[Sequence[float]], events: int, *, places: int = 20) -> Points:
    """Return the medians of so many stretches of all rounds, each at its end."""
    places = min(places, *map(len, rounds))
    stretches: list[list[float]] = [[] for _ in range(places)]
    for values in rounds:
        for n, value in enumerate(values):
            stretches[n * places // len(values)].append(value)
    return [(n * events / places, median(stretch)) for n, stretch in enumerate(stretches, start=1)]


GRAPHS: dict[str, Callable[[argparse.Namespace], Graph]] = {
    "history": history,
    "held-transaction": held,
    "sustained": sustained,
}

if __name__ == "__main__":
    main()
