"""Runs the suite on every database that can be reached, and says which those were.

`python -m tests [arguments of pytest]`. All databases at once, or as many as JOBS says: most of the
time it waits. With ALL_DATABASES=1 one that can't be reached is a failure. TEST_POSTGRESQL_URL and
TEST_MARIADB_URL say where they are. Without arguments the run on SQLite, which has the most tests,
is two at once, and branch coverage is that of the tests that start no processes and are about the
library: to measure it doubles what Python has to do.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.browser.chromium import MISSING, find_chromium
from tests.databases import URLS, VENDORS

PROBE = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    name = "sqlite_version()" if connection.vendor == "sqlite" else "version()"
    cursor.execute(f"SELECT {name}")
    print(cursor.fetchone()[0])
"""
COVERAGE = [sys.executable, "-m", "coverage"]
SLOW = "processes or browser or thorough or benchmark or shop"


@dataclass(frozen=True, slots=True)
class Part:
    """One run of pytest: the database, the arguments, and what tells it from others at once."""

    database: str
    arguments: tuple[str, ...]
    suffix: str = ""
    is_covered: bool = False


def parts_of(database: str, arguments: list[str]) -> list[Part]:
    """Return the runs that make up the suite on one database."""
    if arguments:
        return [Part(database, tuple(arguments))]
    if database != "sqlite":
        # What does not depend on the database runs on the one that is always there.
        return [Part(database, ("-m", "not once"))]
    return [
        Part(database, ("-m", f"not ({SLOW})"), is_covered=True),
        Part(database, ("-m", SLOW), suffix="slow"),
    ]


def main(arguments: list[str]) -> int:
    subprocess.run([*COVERAGE, "erase"], check=True)
    reached, away = find_databases()
    print(f"Running the suite on {', '.join(reached)}.", flush=True)
    parts = [part for name in reached for part in parts_of(name, arguments)]
    with ThreadPoolExecutor(int(os.environ.get("JOBS", len(parts)))) as pool:
        codes = list(pool.map(run, parts))
    results = dict.fromkeys(reached, 0)
    for part, code in zip(parts, codes, strict=True):
        results[part.database] |= code
    failed = any(codes) or (report_coverage() != 0 if not arguments else False)
    say_where(results, reached, away)
    return int(failed or bool(away and os.environ.get("ALL_DATABASES")))


def find_databases() -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of those that can be reached, and what the others answer."""
    answers = {name: probe(name) for name in VENDORS}
    reached = {name: said.strip() for name, (code, said) in answers.items() if not code}
    away = {name: said.strip() for name, (code, said) in answers.items() if code}
    if "sqlite" in away:
        sys.exit(away["sqlite"])
    return reached, away


def probe(name: str) -> tuple[int, str]:
    """Ask a database for its version; return the exit code, and the answer or the error."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environment(name),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.returncode, answer.stderr if answer.returncode else answer.stdout


def run(part: Part) -> int:
    """Run one part; show what it printed once it has ended."""
    python = [*COVERAGE, "run"] if part.is_covered else [sys.executable]
    env = environment(part.database)
    env["EDA_TEST_RUN"] = env.get("EDA_TEST_RUN", "") + part.suffix
    began = time.monotonic()
    done = subprocess.run(
        [*python, "-m", "pytest", "--durations=5", *part.arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    name = f"{part.database} {part.suffix}".rstrip()
    print(f"\n=== {name}, {time.monotonic() - began:.0f} s ===\n{done.stdout}", flush=True)
    return done.returncode


def report_coverage() -> int:
    return subprocess.run([*COVERAGE, "report"], check=False).returncode


def say_where(results: dict[str, int], reached: dict[str, str], away: dict[str, str]) -> None:
    """Print which databases the suite ran on, and why not on the others, and in no browser."""
    print("\nThe suite ran on:")
    for name, code in results.items():
        print(f"  {name:<12}{'FAILED' if code else 'passed'}   {reached[name]}")
    for name, error in away.items():
        variable, default = URLS[name]
        print(f"  {name:<12}NOT REACHED   set {variable}, by default {default}")
        print(f"{'':14}{error.splitlines()[-1]}")
    # With CI set they have failed, and say so themselves.
    if find_chromium() is None and not os.environ.get("CI"):
        print(f"  {'browser':<12}SKIPPED   {MISSING}")


def environment(name: str) -> dict[str, str]:
    return {**os.environ, "EDA_TEST_DATABASE": name, "DJANGO_SETTINGS_MODULE": "tests.settings"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
