"""One run on one database; in a process of its own, because Django has its settings once."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import django
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.measure import Absent, Measure, Result, Size


def main() -> None:
    """Read what to do from standard input; write the results into the file that it names."""
    # Its relays and workers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    order: dict[str, Any] = json.load(sys.stdin)
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
        measures = [field.joined(measure) for measure in chosen]
        results = measured(measures, size, rounds=order["rounds"], database=database)
    answer = {
        "machine": machine.described() | field.described(),
        "results": [result.plain() for result in results],
    }
    Path(order["answer"]).write_text(json.dumps(answer))


def prepare() -> None:
    django.setup()
    from django.core.management import call_command

    from benchmarks import limit

    call_command("migrate", run_syncdb=True, verbosity=0)
    limit.create_tables()


def measured(
    measures: Iterable[Measure], size: Size, *, rounds: int, database: str
) -> list[Result]:
    """Run every measure; one that fails says why, and the others go on."""
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
                result.trouble = f"{type(error).__name__}: {error}"
                progress.console.print(traceback.format_exc(), markup=False)
    return results


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
