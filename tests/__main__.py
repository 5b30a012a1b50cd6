"""Runs the suite on every database that can be reached, and says which those were.

`python -m tests [arguments of pytest]`. All databases at once, or as many as JOBS says: most of the
time it waits. With ALL_DATABASES=1 one that can't be reached is a failure. TEST_POSTGRESQL_URL and
TEST_MARIADB_URL say where they are. Without arguments branch coverage is measured, on SQLite, as
the run with the most tests.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

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


def main(arguments: list[str]) -> int:
    subprocess.run([*COVERAGE, "erase"], check=True)
    reached, away = find_databases()
    print(f"Running the suite on {', '.join(reached)}.", flush=True)
    jobs = int(os.environ.get("JOBS", len(VENDORS)))
    with ThreadPoolExecutor(jobs) as pool:
        codes = list(pool.map(lambda name: run(name, arguments), reached))
    results = dict(zip(reached, codes, strict=True))
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


def run(name: str, arguments: list[str]) -> int:
    """Run pytest on one database; show what it printed once it has ended."""
    # What does not depend on the database runs on the one that is always there.
    chosen = [] if name == "sqlite" or arguments else ["-m", "not once"]
    python = [*COVERAGE, "run"] if name == "sqlite" and not arguments else [sys.executable]
    began = time.monotonic()
    done = subprocess.run(
        [*python, "-m", "pytest", "--durations=5", *chosen, *arguments],
        env=environment(name),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
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
