"""Breaks the library in small ways, and says which of the broken ones no test notices.

`python -m tests.mutation [names of mutants]`. mutmut makes the mutants, of the modules that
setup.cfg names, and runs the tests that come by each. First on SQLite; what lives there, or is code
that SQLite never runs, is tried on the other databases that can be reached. What was found is kept
in `mutants/`: another run tries what has changed since, and what lived. Fails if too many live.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

from mutmut.stats import status_by_exit_code

from example_project.demo.redis_server import RedisServer
from tests.__main__ import environment, find_databases
from tests.mutated import PARTS

REQUIRED = 85
FOLDER = Path("mutants")
KILLED, HUNG, UNTESTED, SURVIVED = "killed", "timeout", "no tests", "survived"


def main(names: list[str]) -> int:
    reached, _ = find_databases()
    for number, database in enumerate(reached):
        # What is named is tried in any case, also what another database has killed.
        chosen = living(names) if names and number else names
        forget_living(names)
        if chosen or not names:
            run(database, chosen)
    return report()


def run(database: str, names: list[str]) -> None:
    """Have mutmut try these mutants, or all of which it knows no result."""
    print(f"Trying mutants on {database}.", flush=True)
    # Which tests come by which function is another thing on each database. And mutmut takes no
    # test away that is gone.
    (FOLDER / "mutmut-stats.json").unlink(missing_ok=True)
    shutil.rmtree(FOLDER / "tests", ignore_errors=True)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        env = {**environment(database), "EDA_TEST_REDIS_PORT": str(server.port)}
        subprocess.run([mutmut, "run", "--max-children", "1", *names], env=env, check=True)


def results() -> dict[str, str]:
    """Return what became of each mutant."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.rglob("*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        found |= {name: status_by_exit_code[code] for name, code in codes.items()}
    return found


def living(patterns: list[str]) -> list[str]:
    """Return those of these that no database has killed."""
    return [name for name, status in results().items() if lives(name, status, patterns)]


def lives(name: str, status: str, patterns: list[str]) -> bool:
    is_meant = any(fnmatch(name, pattern) for pattern in patterns or ["*"])
    return is_meant and status in (SURVIVED, UNTESTED)


def forget_living(patterns: list[str]) -> None:
    """Have those that live tried again: mutmut tries what it knows no result of."""
    for path in FOLDER.rglob("*.meta"):
        known = json.loads(path.read_text())
        codes = known["exit_code_by_key"]
        for name, code in codes.items():
            if lives(name, status_by_exit_code[code], patterns):
                codes[name] = None
        path.write_text(json.dumps(known))


def part_of(mutant: str) -> str:
    module = mutant.split(".")[1]
    return next(part for part, modules in PARTS.items() if module in modules)


def report() -> int:
    """Print how many live, by part; return 1 if those are too many of those that were tried."""
    counts = Counter((part_of(name), status) for name, status in results().items())
    print(f"{'':10}{'mutants':>9}{'killed':>9}{'hung':>9}{'survived':>10}{'untested':>10}")
    is_low = False
    for part in PARTS:
        total = sum(count for (name, _), count in counts.items() if name == part)
        # What was not tried is none of these.
        killed, hung, lived, untested = (
            counts[part, status] for status in (KILLED, HUNG, SURVIVED, UNTESTED)
        )
        tried = killed + hung + lived + untested
        share = 100 * (killed + hung) / tried if tried else 100.0
        is_low |= share < REQUIRED
        print(f"{part:10}{total:9}{killed:9}{hung:9}{lived:10}{untested:10}{share:8.1f} %")
    print("`mutmut results` names those that live, `mutmut show NAME` shows one.")
    return int(is_low)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
