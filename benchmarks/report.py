"""The report: a table on the terminal, Markdown, and JSON."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

HEAD = ("", "measure", "database", "median", "min", "max", "bar", "")
Machines = Mapping[str, Mapping[str, str]]
# A measure's result, as Result.plain() makes it.
Plain = Mapping[str, Any]
Row = tuple[str, ...]


def rows(results: Iterable[Plain]) -> list[Row]:
    """Return the lines of the table: first each contestant's figures, then the bars."""
    found: list[Row] = []
    for result in results:
        title = f"{result['title']} [{result['unit']}]"
        found.append(
            (result["number"], title, result["database"], "", "", "", "", result["trouble"])
        )
        for figures in result["contestants"]:
            found.append(("", figures["name"], "", *_cells(figures), "", ""))
        found += [("", name, *[""] * 5, why) for name, why in result["absent"].items()]
        for bar in result["bars"]:
            found.append(
                ("", f"= {bar['name']}", "", *_cells(bar), bar["bar"], bar["verdict"]),
            )
    return found


def _cells(figures: Plain) -> Row:
    return tuple(_number(figures[name]) for name in ("median", "least", "greatest"))


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def show(console: Console, machines: Machines, results: Iterable[Plain]) -> None:
    """Print the head and the table."""
    for line in header(machines):
        console.print(line, markup=False, highlight=False)
    table = Table(*HEAD, show_edge=False)
    for row in rows(results):
        style = {"missed": "red", "reached": "green"}.get(row[-1], "bold" if row[0] else "")
        table.add_row(*row, style=style)
    console.print(table)


def markdown(machines: Machines, results: Iterable[Plain]) -> str:
    head = [f"- {line}" for line in header(machines)]
    table = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    table += ["| " + " | ".join(row) + " |" for row in rows(results)]
    return "\n".join([*head, "", *table, ""])


def as_json(machines: Machines, results: Iterable[Plain]) -> str:
    return json.dumps({"machines": machines, "results": list(results)}, indent=1)


def header(machines: Machines) -> list[str]:
    """Return a line for each fact, and one for each database where they differ."""
    lines: list[str] = []
    for name in next(iter(machines.values()), {}):
        values = dict.fromkeys(machine[name] for machine in machines.values())
        lines += [f"{name}: {value}" for value in values]
    return lines
