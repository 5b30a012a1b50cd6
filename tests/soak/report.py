"""What a soak comes to, as a page of Markdown."""

import os
import platform
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from eda_django.version import __version__
from tests.soak.revision import commit
from tests.soak.run import Run

MOST_SHOWN = 20
PACKAGES = ("Django", "rq", "django-rq", "redis", "psycopg", "PyMySQL", "pydantic")
# How publishers may end: as told to, or killed.
GOOD_ENDS = {0, -9, -15}


class Report:
    """The numbers of a soak that has ended, and every reason why it failed."""

    def __init__(self, *, run: Run, seed: int, seconds: float) -> None:
        self.run, self.seed, self.seconds = run, seed, seconds
        self.findings = run.outside.findings()
        self.unfinished = run.outside.unfinished()
        self.server = run.outside.version()

    @property
    def is_clean(self) -> bool:
        wrong = (self.unfinished, self.broken_publishers, self.lacking)
        return self.findings.is_clean and not any(wrong)

    @property
    def lacking(self) -> list[str]:
        """Return why the soak shows nothing: what was not there can't have been lost."""
        needed = {
            "no event was committed": self.findings.events,
            "no fault was injected": self.run.injector.struck.total(),
        }
        return [reason for reason, count in needed.items() if not count]

    @property
    def broken_publishers(self) -> list[str]:
        """Publishers that ended by an error: they need neither Redis nor a relay."""
        return [
            f"{piece.name} ended {times} times with exit code {code}"
            for piece in self.run.publishers
            for code, times in piece.ends.items()
            if code not in GOOD_ENDS
        ]

    def markdown(self) -> str:
        struck = self.run.injector.struck
        title = f"# Soak: {self.seconds / 60:.1f} minutes, seed {self.seed}, {self.server}"
        parts = [title, table(("", "count"), self.counts())]
        parts += [table(("fault", "times", "longest recovery, s"), self.faults())]
        parts += [f"{struck.total():,} faults, {struck.total() / self.seconds * 60:.0f} a minute."]
        parts += [table(("process", "ended by itself, or by a fault elsewhere"), self.ends())]
        parts += [table(("", "version"), versions(self.server))]
        return "\n\n".join([*parts, *self.complaints()]) + "\n"

    def counts(self) -> list[tuple[str, str]]:
        found = self.findings
        counts = {
            "events committed": found.events,
            "deliveries": found.deliveries,
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "effects of what was never committed": len(found.unfounded),
            "unfinished": len(self.unfinished),
            "dead, as they must be": found.dead,
            "dead, as they must not be": len(found.wrongly_dead),
            "not dead, as they should be": len(found.not_dead),
            "repeated with atomic=False, as is allowed": found.repeated,
        }
        rows = [(what, f"{number:,}") for what, number in counts.items()]
        return [
            *rows,
            ("seconds until all was done after the last fault", f"{self.run.drained_in:.0f}"),
        ]

    def faults(self) -> list[tuple[str, str, str]]:
        longest = self.run.recoveries.longest
        return [
            (kind, f"{times:,}", f"{longest[kind]:.1f}" if kind in longest else "")
            for kind, times in sorted(self.run.injector.struck.items())
        ]

    def ends(self) -> list[tuple[str, str]]:
        """Return how often which processes ended that nobody had killed."""
        kinds: Counter[str] = Counter()
        for piece in (*self.run.relays, *self.run.workers, *self.run.publishers):
            others = sum(n for code, n in piece.ends.items() if code not in GOOD_ENDS)
            kinds[piece.name.partition("-")[0]] += others
        return [(kind, f"{times:,}") for kind, times in kinds.items()]

    def complaints(self) -> list[str]:
        """Return a part for everything that must not be."""
        found = self.findings
        wrong = {
            "Lost": found.lost,
            "Doubled": found.doubled,
            "Never committed, or failed": found.unfounded,
            "Unfinished": self.unfinished,
            "Wrongly dead": found.wrongly_dead,
            "Not dead": found.not_dead,
            "Publishers that broke": self.broken_publishers,
            "Shows nothing": self.lacking,
        }
        return [f"## {title}\n\n{listed(lines)}" for title, lines in wrong.items() if lines]


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(lines: list[str]) -> str:
    rest = len(lines) - MOST_SHOWN
    more = [f"- … and {rest} more"] if rest > 0 else []
    return "\n".join([*(f"- {line}" for line in lines[:MOST_SHOWN]), *more])


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # Another driver does its work.
        return ""


def versions(server: str) -> list[tuple[str, str]]:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return [
        ("eda_django", __version__),
        ("commit", commit()),
        ("Python", platform.python_version()),
        *((name, found) for name in PACKAGES if (found := installed(name))),
        ("database", server),
        ("machine", machine),
    ]
