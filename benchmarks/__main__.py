"""`python -m benchmarks`: measure, show, and keep the results."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.about import about
from benchmarks.measure import QUICK, Size
from benchmarks.place import DATABASES, place
from benchmarks.processes import end_when_told
from benchmarks.report import Report

NUMBERS = tuple(f"P{n}" for n in range(1, 15))
# PostgreSQL's commit_delay takes no more.
LONGEST_FLUSH_MS = 100.0


def main() -> int:
    # Ended by the system, too, a run takes its database and its servers with it.
    end_when_told()
    options = _arguments()
    size = _size(options)
    report = Report(about=about(size, rounds=options.rounds))
    try:
        for database in options.database or ["postgresql"]:
            _run(database, size, options, report)
            _write(report, options.output)
    finally:
        # Also when it is ended, by SIGTERM or Ctrl-C.
        _write(report, options.output)
        _show(report, options.output)
    return 1 if report.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="P1", help="which to run (default: all)")
    parser.add_argument("--database", action="append", choices=DATABASES, help="repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--quick", action="store_true", help="so small that it only tries the way")
    parser.add_argument("--peers", action="store_true", help="measure other packages too")
    parser.add_argument(
        "--flush-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="on PostgreSQL: have each commit take so much longer, as if the disk did (default: 0)",
    )
    parser.add_argument(
        "--prepared",
        action="store_true",
        help="on PostgreSQL: have the server bind and keep statements, as databases.md tells",
    )
    parser.add_argument("--size", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    options = parser.parse_args()
    if wrong := [number for number in options.measures if number not in NUMBERS]:
        parser.error(f"there is no measure {wrong[0]!r}, only {', '.join(NUMBERS)}")
    known = [field.name for field in fields(Size)]
    for word in options.size:
        if word.partition("=")[0] not in known:
            parser.error(f"--size={word}: the names are {', '.join(known)}")
    if not 0 <= options.flush_ms <= LONGEST_FLUSH_MS:
        parser.error(f"--flush-ms={options.flush_ms:g} must be 0 to {LONGEST_FLUSH_MS:g}")
    if (options.database or ["postgresql"]) != ["postgresql"]:
        if options.flush_ms:
            parser.error("--flush-ms is for PostgreSQL only, which has a setting for it")
        if options.prepared:
            parser.error("--prepared is for PostgreSQL only: no other driver keeps statements")
    if options.rounds < 1:
        parser.error(f"--rounds={options.rounds} must be at least 1")
    return options


def _run(database: str, size: Size, options: argparse.Namespace, report: Report) -> None:
    """Run in a process of its own, with an empty database and a Redis that go with it.

    Whatever ends it, the report gets what it has found and why it found no more.
    """
    report.troubles[database] = "was ended before it was through"
    try:
        made = place(database, flush_ms=options.flush_ms, prepared=options.prepared)
        with tempfile.TemporaryDirectory(prefix="bench_") as folder, made as environment:
            answer = Path(folder) / "answer.json"
            order = {
                "measures": options.measures or [],
                "rounds": options.rounds,
                "peers": options.peers,
                "size": asdict(size),
                "answer": str(answer),
            }
            try:
                code = _in_child(json.dumps(order), {**os.environ, **environment})
                report.troubles[database] = f"its process ended with exit code {code}"
            finally:
                _read(answer, database, report)
            if not code:
                report.troubles[database] = ""
    except Exception as error:
        report.troubles[database] = f"{type(error).__name__}: {error}"
        traceback.print_exc()


def _in_child(order: str, environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "benchmarks.run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as child:
        try:
            child.communicate(order)
        except BaseException:
            # Not killed: it has processes of its own to end. Popen would not wait after a Ctrl-C.
            child.terminate()
            child.wait()
            raise
    return child.returncode


def _read(answer: Path, database: str, report: Report) -> None:
    if not answer.exists():
        return
    found: dict[str, Any] = json.loads(answer.read_text())
    report.machines[database] = found["machine"]
    report.results += found["results"]
    if found["trouble"]:
        report.troubles[database] = found["trouble"]


def _size(options: argparse.Namespace) -> Size:
    asked: dict[str, Any] = dict(map(_sized, options.size))
    return replace(QUICK if options.quick else Size(), **asked)


def _sized(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    return name, float(number) if name.endswith("seconds") else int(number)


def _write(report: Report, folder: Path) -> None:
    """Write what there is; nothing takes the place of an earlier report."""
    if report.results:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(report.markdown())
        (folder / "results.json").write_text(report.as_json())


def _show(report: Report, folder: Path) -> None:
    console = Console()
    report.show(console)
    if report.results:
        where = f"The table is in {folder}/results.md, every figure in {folder}/results.json."
        console.print(where)
    else:
        console.print("There are no results, and nothing is written.")


if __name__ == "__main__":
    sys.exit(main())
