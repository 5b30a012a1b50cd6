"""One run on one database; in a process of its own, because Django has its settings once."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import django
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.measure import Absent, Measure, Result, Size
from benchmarks.processes import end_when_told


def main() -> None:
    """Read what to do from standard input; write the results into the file that it names."""
    # Its relays and workers end with it. Ctrl-C goes to the command, too, which ends this one.
    end_when_told()
    signal.signal(signal.SIGINT, lambda *_: None)
    order: dict[str, Any] = json.load(sys.stdin)
    answer = Answer(Path(order["answer"]))
    try:
        _run(order, answer)
    except Exception as error:
        answer.write(trouble=said(error))
        raise


class Answer:
    """What there is so far, in a file that is whole at any moment: a run may end at any."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Any] = {"machine": {}, "results": [], "trouble": ""}

    def add(self, result: dict[str, Any]) -> None:
        self.write(results=[*self._found["results"], result])

    def write(self, **found: Any) -> None:
        self._found |= found
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._found))
        new.replace(self._path)


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _run(order: dict[str, Any], answer: Answer) -> None:
    prepare()
    # Late: they import models.
    from benchmarks import machine
    from benchmarks.measures import MEASURES
    from benchmarks.peers import contestants
    from benchmarks.peers.catalogue import PEERS

    size = Size(**order["size"])
    database = os.environ["BENCH_DATABASE"]
    chosen = [MEASURES[number] for number in order["measures"] or MEASURES]
    with contestants.field(PEERS if order["peers"] else (), database=database) as field:
        answer.write(machine=machine.described() | field.described())
        measures = [field.joined(measure) for measure in chosen]
        for result in measured(measures, size, rounds=order["rounds"], database=database):
            answer.add(plain(result))


def plain(result: Result) -> dict[str, Any]:
    try:
        return result.plain()
    except ArithmeticError as error:
        # A ratio to nothing. The figures are there all the same.
        result.trouble = said(error)
        result.measure = replace(result.measure, bars=())
        return result.plain()


def prepare() -> None:
    django.setup()
    from django.core.management import call_command

    from benchmarks import limit

    call_command("migrate", run_syncdb=True, verbosity=0)
    limit.create_tables()


def measured(
    measures: Iterable[Measure], size: Size, *, rounds: int, database: str
) -> Iterator[Result]:
    """Run every measure, and yield it; one that fails says why, and the others go on."""
    results = [Result(measure=measure, database=database, size=size) for measure in measures]
    steps = [len(r.measure.contestants) * r.measure.rounds(rounds, size) for r in results]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task(database, total=sum(steps))

        def step(what: str) -> None:
            progress.update(bar, advance=1, description=f"{database} {what}")

        for result in results:
            try:
                _measure(result, size, rounds=rounds, step=step)
            except Exception as error:
                result.trouble = said(error)
                progress.console.print(traceback.format_exc(), markup=False)
            yield result


def _measure(result: Result, size: Size, *, rounds: int, step: Any) -> None:
    measure = result.measure
    if measure.databases and result.database not in measure.databases:
        result.trouble = f"only measured on {', '.join(measure.databases)}"
        result.skipped = True
        return
    if measure.prepare:
        measure.prepare(size)
    for _ in range(measure.rounds(rounds, size)):
        figures = {}
        # In turn, so that whatever else the machine does befalls all of them.
        for name, run in measure.contestants.items():
            if name not in result.absent:
                try:
                    figures[name] = run(size)
                except Absent as why:
                    result.absent[name] = str(why)
            step(f"{measure.number} {name}")
        result.rounds.append(figures)


if __name__ == "__main__":
    main()
