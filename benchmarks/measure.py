"""What is measured: contestants that run in turn, and bars that their ratios must reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

Run = Callable[["Size"], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything; the defaults are what the bars are about."""

    transactions: int = 300
    events: int = 20_000
    jobs: int = 600
    forked_jobs: int = 60
    chunks: int = 1_000
    few: int = 10_000
    many: int = 100_000
    scheduled: int = 300_000
    blocked: int = 100_000
    finished: int = 1_000_000
    held: int = 200_000
    traffic_seconds: float = 30.0
    idle_seconds: float = 20.0
    sustained_seconds: float = 600.0
    console_events: int = 1_000_000
    # 1 to try the way only: no more rounds than asked for, no variant() of a contestant.
    trial: int = 0


# So small that only the way through is tried; the figures mean nothing.
QUICK = Size(
    transactions=5,
    events=60,
    jobs=5,
    forked_jobs=2,
    chunks=10,
    few=30,
    many=60,
    scheduled=20,
    blocked=20,
    finished=50,
    held=60,
    traffic_seconds=0.5,
    idle_seconds=1.0,
    sustained_seconds=1.0,
    console_events=2_000,
    trial=1,
)


class Absent(Exception):
    """A contestant has no part in a measure; the message says why."""


def variant(run: Run) -> Run:
    """Return the run for a contestant that differs from another in nothing but circumstances."""

    def run_if_asked(size: Size) -> float:
        if size.trial:
            raise Absent("not part of a trial")
        return run(size)

    return run_if_asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What `of` must reach: divided by `over`, less `minus`, or as it is.

    Without a limit it is only shown. The name may have fields of Size in braces, as titles may.
    """

    name: str
    of: str
    over: str = ""
    minus: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def text(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"

    def value(self, figures: Mapping[str, float]) -> float:
        """Return this bar's figure of one round."""
        if self.over:
            return figures[self.of] / figures[self.over]
        if self.minus:
            return figures[self.of] - figures[self.minus]
        return figures[self.of]

    def verdict(self, value: float) -> str:
        """Say whether the limit is reached; nothing if there is none."""
        if not self.text:
            return ""
        above = self.at_least is None or value >= self.at_least
        below = self.at_most is None or value <= self.at_most
        return "reached" if above and below else "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the requirements: who runs, in which unit, and what must come out."""

    number: str
    # May have fields of Size in braces, such as "draining {events:,} events".
    title: str
    unit: str
    contestants: Mapping[str, Run]
    bars: Sequence[Bar]
    # How many times as many rounds as asked for: short ones need more to be steady.
    times: int = 1
    # The databases that it can be measured on; empty for all.
    databases: tuple[str, ...] = ()
    # What all rounds stand on, done once before the first.
    prepare: Callable[["Size"], None] | None = None
    # Contestants that have no part in it, and why.
    absent: Mapping[str, str] = field(default_factory=dict)

    def rounds(self, asked: int, size: Size) -> int:
        return asked if size.trial else asked * self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several rounds, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median=median(values), least=min(values), greatest=max(values))


@dataclass(slots=True, kw_only=True)
class Result:
    """The figures of a measure on one database, a dict a round; or why there are none."""

    measure: Measure
    database: str
    # What the rounds were run with.
    size: Size = field(default_factory=Size)
    rounds: list[dict[str, float]] = field(default_factory=list)
    trouble: str = ""
    # It can't be measured on this database.
    skipped: bool = False
    # Contestants without figures, and why: known before, or found out in a round.
    absent: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.absent = dict(self.measure.absent)

    def figures(self, contestant: str) -> Spread:
        return Spread.of([figures[contestant] for figures in self.rounds])

    def value(self, bar: Bar) -> Spread:
        """Return the spread of the rounds' own ratios: what disturbs one round, disturbs both."""
        return Spread.of([bar.value(figures) for figures in self.rounds])

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        measure = self.measure
        about = {
            "number": measure.number,
            "title": self._filled(measure.title),
            "unit": measure.unit,
            "database": self.database,
            "trouble": self.trouble,
            "skipped": self.skipped,
            "contestants": [],
            "absent": self.absent,
            "bars": [],
            "rounds": self.rounds,
        }
        if not self.rounds:
            return about
        return about | {
            "contestants": [
                {"name": name, **asdict(self.figures(name))}
                for name in measure.contestants
                if name not in self.absent
            ],
            "bars": [self._plain(bar) for bar in measure.bars if not self._lacks(bar)],
        }

    def _lacks(self, bar: Bar) -> bool:
        return bool(self.absent.keys() & {bar.of, bar.over, bar.minus})

    def _plain(self, bar: Bar) -> dict[str, Any]:
        spread = self.value(bar)
        return {
            "name": self._filled(bar.name),
            "bar": bar.text,
            "verdict": self._verdict(bar, spread.median),
            **asdict(spread),
        }

    def _verdict(self, bar: Bar, value: float) -> str:
        """Return the bar's verdict; in a trial, whose figures mean nothing, there is none."""
        verdict = bar.verdict(value)
        return "trial" if verdict and self.size.trial else verdict

    def _filled(self, text: str) -> str:
        """Put what this run's size is where the text asks for it."""
        return text.format_map(asdict(self.size))
