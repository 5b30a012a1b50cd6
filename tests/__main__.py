"""Runs the suite on every database that can be reached, and says which those were.

`python -m tests [arguments of pytest]`. With ALL_DATABASES=1 one that can't be reached is a
failure. TEST_POSTGRESQL_URL and TEST_MARIADB_URL say where they are.
"""

import os
import subprocess
import sys

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


def main(arguments: list[str]) -> int:
    subprocess.run([sys.executable, "-m", "coverage", "erase"], check=True)
    reached = {name: version for name in VENDORS if (version := probe(name))}
    results = {name: run(name, arguments) for name in reached}
    covered = report_coverage() if not arguments and not any(results.values()) else 0
    print("\nThe suite ran on:")
    for name, code in results.items():
        print(f"  {name:<12}{'passed' if code == 0 else 'FAILED'}   {reached[name]}")
    missing = [name for name in VENDORS if name not in reached]
    for name in missing:
        print(f"  {name:<12}NOT REACHED   set {URLS[name][0]}, by default {URLS[name][1]}")
    must = bool(os.environ.get("ALL_DATABASES"))
    return int(any(results.values()) or covered != 0 or (must and bool(missing)))


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
    print(f"\n=== {name} ===", flush=True)
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *arguments]
    return subprocess.run(command, env=environment(name), check=False).returncode


def report_coverage() -> int:
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet"], check=True)
    return subprocess.run([*coverage, "report"], check=False).returncode


def environment(name: str) -> dict[str, str]:
    return {**os.environ, "EDA_TEST_DATABASE": name, "DJANGO_SETTINGS_MODULE": "tests.settings"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
