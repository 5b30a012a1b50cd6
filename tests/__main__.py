"""Runs the suite on every database that can be reached, and says which those were.

`python -m tests [arguments of pytest]`. All databases at once, or as many as JOBS says: most of the
time it waits. With ALL_DATABASES=1 one that can't be reached is a failure. TEST_POSTGRESQL_URL and
TEST_MARIADB_URL say where they are. Without arguments branch coverage is measured, too.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

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
    reached = {name: version for name in VENDORS if (version := probe(name))}
    print(f"Running the suite on {', '.join(reached)}.", flush=True)
    jobs = int(os.environ.get("JOBS", len(VENDORS)))
    with ThreadPoolExecutor(jobs) as pool:
        codes = list(pool.map(lambda name: run(name, arguments), reached))
    results = dict(zip(reached, codes, strict=True))
    failed = any(codes) or (report_coverage() != 0 if not arguments else False)
    failed |= say_where(results, reached)
    return int(failed)


def probe(name: str) -> str:
    """Return the version of a database, or an empty text if it can't be reached."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environment(name),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if answer.returncode and name == "sqlite":
        sys.exit(answer.stderr)
    return answer.stdout.strip()


def run(name: str, arguments: list[str]) -> int:
    """Run pytest on one database; show what it printed once it has ended."""
    # What does not depend on the database runs on the one that is always there.
    chosen = [] if name == "sqlite" or arguments else ["-m", "not once"]
    began = time.monotonic()
    done = subprocess.run(
        [*COVERAGE, "run", "-m", "pytest", "--durations=5", *chosen, *arguments],
        env=environment(name),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"\n=== {name}, {time.monotonic() - began:.0f} s ===\n{done.stdout}", flush=True)
    return done.returncode


def report_coverage() -> int:
    subprocess.run([*COVERAGE, "combine", "--quiet"], check=True)
    return subprocess.run([*COVERAGE, "report"], check=False).returncode


def say_where(results: dict[str, int], versions: dict[str, str]) -> bool:
    """Print which databases the suite ran on; return whether one that must be is missing."""
    print("\nThe suite ran on:")
    for name, code in results.items():
        print(f"  {name:<12}{'FAILED' if code else 'passed'}   {versions[name]}")
    missing = [name for name in VENDORS if name not in results]
    for name in missing:
        print(f"  {name:<12}NOT REACHED   set {URLS[name][0]}, by default {URLS[name][1]}")
    return bool(missing and os.environ.get("ALL_DATABASES"))


def environment(name: str) -> dict[str, str]:
    return {**os.environ, "EDA_TEST_DATABASE": name, "DJANGO_SETTINGS_MODULE": "tests.settings"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
