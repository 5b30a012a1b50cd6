"""What became of the mutants, counted by part: from mutmut's results, without mutmut itself."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.mutated import PARTS

REQUIRED = 85
# Mutmut's words. Whatever else it says, nobody knows whether a test would notice.
KILLED, HUNG, SURVIVED = "killed", "timeout", "survived"
UNTESTED, UNTRIED = "no tests", "not checked"
# The page that names those that live, and why they may; and what a line of its tables looks like:
# the function, the numbers of its mutants, the reason.
PAGE = Path("docs/explanation/survivors.md")
LINE = re.compile(r"^\| `(?P<function>[\w.]+)` \| (?P<numbers>[\d, –]+) \| \S.* \|$", re.MULTILINE)
HEAD = ("", "mutants", "killed", "hung", "survived", "untested", "other", "untried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of the table."""

    name: str
    statuses: Counter[str]

    @property
    def tried(self) -> int:
        return self.statuses.total() - self.statuses[UNTRIED]

    @property
    def share(self) -> float | None:
        """Return which percentage of those that were tried is killed, None if none was."""
        killed = self.statuses[KILLED] + self.statuses[HUNG]
        return 100 * killed / self.tried if self.tried else None

    def line(self) -> str:
        known = [self.statuses[status] for status in (KILLED, HUNG, SURVIVED, UNTESTED)]
        counts = [self.statuses.total(), *known, self.tried - sum(known), self.statuses[UNTRIED]]
        share = "" if self.share is None else f"{self.share:8.1f} %"
        return row(self.name, counts) + share


def row(name: str, cells: Iterable[object]) -> str:
    return f"{name:10}" + "".join(f"{cell:>10}" for cell in cells)


def lives(name: str, status: str, patterns: list[str]) -> bool:
    """Return whether this one is meant, was tried, and no test has been seen to notice it."""
    is_meant = any(fnmatch(name, pattern) for pattern in patterns or ["*"])
    return is_meant and status not in (KILLED, HUNG, UNTRIED)


def metas(folder: Path, sources: Path) -> Iterator[Path]:
    """Return the files of results, but for modules that are gone: mutmut keeps those."""
    for path in sorted(folder.rglob("*.meta")):
        if (sources / path.relative_to(folder).with_suffix("")).exists():
            yield path


def part_of(mutant: str) -> str:
    module = mutant.split(".")[1]
    for part, modules in PARTS.items():
        if module in modules:
            return part
    raise LookupError(f"The module of {mutant!r} is in no part: name it in PARTS of mutated.py.")


def count(results: Mapping[str, str]) -> list[Part]:
    found: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for name, status in results.items():
        found[part_of(name)][status] += 1
    return [Part(name=part, statuses=statuses) for part, statuses in found.items()]


def complaints(parts: Iterable[Part], *, are_all_meant: bool) -> Iterator[str]:
    """Return what is not enough. If only some were to be tried, the others may be untried."""
    for part in parts:
        if part.share is not None and part.share < REQUIRED:
            yield f"{part.name}: fewer than {REQUIRED} % were killed."
        untried, total = part.statuses[UNTRIED], part.statuses.total()
        if are_all_meant and (untried or not total):
            yield f"{part.name}: {untried} of {total} were not tried."


def readable(mutant: str) -> str:
    """Return mutmut's name of a mutant as the page has it: `relay.Relay.poll 5`."""
    module, _, function = mutant.removeprefix("eda_django.").rpartition(".")
    name, _, number = function.partition("__mutmut_")
    # Of a method it is xǁClassǁmethod, of a function x_function.
    dotted = name.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return f"{module}.{dotted} {number}"


def named(page: str) -> set[str]:
    """Return the mutants that a page names, as readable() has them."""
    return {
        f"{line['function']} {number}"
        for line in LINE.finditer(page)
        for span in line["numbers"].split(", ")
        for number in _numbers(span)
    }


def _numbers(span: str) -> range:
    first, _, last = span.partition("–")
    return range(int(first), int(last or first) + 1)


def unnamed(results: Mapping[str, str], page: str) -> list[str]:
    """Return the living mutants for which the page has no reason."""
    living = (readable(name) for name, status in results.items() if lives(name, status, []))
    return sorted(set(living) - named(page))
