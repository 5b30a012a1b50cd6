"""The report: a table on the terminal, Markdown, and JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks import about

HEAD = ("", "measure", "bar")
STYLES = {"missed": "red", "reached": "green", "trial": "dim"}
# A measure's result, as Result.plain() makes it.
Plain = Mapping[str, Any]
Row = tuple[str, ...]
# What went wrong, by database; an empty text where nothing did.
Troubles = Mapping[str, str]
# Characters of a trouble that the table has room for; the JSON has all of it.
ROOM = 200


def rows(results: Iterable[Plain], troubles: Troubles = MappingProxyType({})) -> list[Row]:
    """Return the table: a column for each database, and each measure's contestants and bars.

    A database whose run came to an early end says so first.
    """
    by_number: dict[str, list[Plain]] = {}
    databases = dict.fromkeys(troubles)
    for result in results:
        by_number.setdefault(result["number"], []).append(result)
        databases[result["database"]] = None
    found: list[Row] = [(*HEAD, *(f"{name}, median (min to max)" for name in databases))]
    if any(troubles.values()):
        found.append(("", "the run", "", *(brief(troubles.get(name, "")) for name in databases)))
    for number, measured in by_number.items():
        beside = {result["database"]: _cells(result) for result in measured}
        title = f"{measured[0]['title']} [{measured[0]['unit']}]"
        failed = {result["database"]: brief(result["trouble"]) for result in measured}
        found.append((number, title, "", *(failed.get(name, "") for name in databases)))
        for line in dict.fromkeys(line for cells in beside.values() for line in cells):
            cells = (beside.get(name, {}).get(line, "") for name in databases)
            found.append(("", *line, *cells))
    return found


def _cells(result: Plain) -> dict[tuple[str, str], str]:
    """Return the lines of a measure on one database: name and bar, with the figures."""
    found = {(figures["name"], ""): _spread(figures) for figures in result["contestants"]}
    found |= {(name, ""): brief(why) for name, why in result["absent"].items()}
    for bar in result["bars"]:
        found[f"= {bar['name']}", bar["bar"]] = f"{_spread(bar)} {bar['verdict']}".rstrip()
    return found


def brief(text: str) -> str:
    """Return the first line, as much as the table has room for."""
    line = text.partition("\n")[0].rstrip()
    return line if len(line) <= ROOM else line[: ROOM - 1] + "…"


def _spread(figures: Plain) -> str:
    """Return the median, with the least and the greatest."""
    median, least, greatest = (_number(figures[name]) for name in ("median", "least", "greatest"))
    return f"{median} ({least} to {greatest})"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run has found so far."""

    # What about.about() returns.
    about: dict[str, Any]
    machines: dict[str, Mapping[str, str]] = field(default_factory=dict)
    results: list[Plain] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a database's run, or a measure that could have been run, has come to nothing."""
        measures = (r["trouble"] for r in self.results if not r["skipped"])
        return any([*self.troubles.values(), *measures])

    def show(self, console: Console) -> None:
        """Print the head and the table."""
        for line in self.header():
            console.print(line, markup=False, highlight=False)
        head, *lines = rows(self.results, self.troubles)
        table = Table(*head, show_edge=False)
        for row in lines:
            cells = [Text(cell, STYLES.get(cell.rpartition(" ")[2], "")) for cell in row]
            table.add_row(*cells, style="bold" if row[0] else "")
        console.print(table)

    def markdown(self) -> str:
        head = [f"- {line}" for line in self.header()]
        return "\n".join([*head, "", *table(self.results, self.troubles), ""])

    def as_json(self) -> str:
        found = {
            "run": self.about,
            "machines": self.machines,
            "troubles": self.troubles,
            "results": self.results,
        }
        return json.dumps(found, indent=1)

    def header(self) -> list[str]:
        """Return a line for each fact, and one for each database where they differ."""
        found = about.lines(self.about)
        for name in dict.fromkeys(name for facts in self.machines.values() for name in facts):
            values = (facts[name] for facts in self.machines.values() if name in facts)
            found += [f"{name}: {value}" for value in dict.fromkeys(values)]
        return found


def table(results: Iterable[Plain], troubles: Troubles = MappingProxyType({})) -> list[str]:
    """Return the lines of Markdown's table."""
    head, *lines = rows(results, troubles)
    return [_line(row) for row in (head, ("---",) * len(head), *lines)]


def _line(row: Row) -> str:
    # A bar within a cell would end it.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
