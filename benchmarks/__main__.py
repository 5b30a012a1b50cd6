"""`python -m benchmarks`: measure, show, and keep the results."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.about import about
from benchmarks.measure import QUICK, Size
from benchmarks.place import DATABASES, place
from benchmarks.report import Report

NUMBERS = tuple(f"P{n}" for n in range(1, 15))
# PostgreSQL's commit_delay takes no more.
LONGEST_FLUSH_MS = 100.0


def main() -> int:
    # Ended by the system, too, a run takes its database and its servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _arguments()
    size = _size(options)
    report = Report(about=about(size, rounds=options.rounds))
    for database in options.database or ["postgresql"]:
        answer = _run(database, size, options)
        report.machines[database] = answer["machine"]
        report.results += answer["results"]
    _write(report, options.output)
    return 1 if any(r["trouble"] and not r["skipped"] for r in report.results) else 0


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


def _run(database: str, size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """Run in a process of its own, with an empty database and a Redis that go with it."""
    made = place(database, flush_ms=options.flush_ms, prepared=options.prepared)
    with tempfile.NamedTemporaryFile() as file, made as environment:
        order = {
            "measures": options.measures or [],
            "rounds": options.rounds,
            "peers": options.peers,
            "size": asdict(size),
            "answer": file.name,
        }
        _in_child(json.dumps(order), {**os.environ, **environment})
        found: dict[str, Any] = json.load(file)
        return found


def _in_child(order: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "benchmarks.run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as child:
        try:
            child.communicate(order)
        except BaseException:
            # Not killed: it has processes of its own to end.
            child.terminate()
            raise
    if child.returncode:
        raise SystemExit(f"The run ended with exit code {child.returncode}; it says why above.")


def _size(options: argparse.Namespace) -> Size:
    asked: dict[str, Any] = dict(map(_sized, options.size))
    return replace(QUICK if options.quick else Size(), **asked)


def _sized(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    return name, float(number) if name.endswith("seconds") else int(number)


def _write(report: Report, folder: Path) -> None:
    console = Console()
    report.show(console)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(report.markdown())
    (folder / "results.json").write_text(report.as_json())
    console.print(f"The table is in {folder}/results.md, every figure in {folder}/results.json.")


if __name__ == "__main__":
    sys.exit(main())
