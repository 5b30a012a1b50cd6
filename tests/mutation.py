"""Breaks the library in small ways, and says which of the broken ones no test notices.

`python -m tests.mutation [names of mutants]`. mutmut makes the mutants, of the modules that
setup.cfg names, and runs the tests that come by each. First on SQLite; what lives there, or is code
that SQLite never runs, is tried on the other databases that can be reached. What was found is kept
in `mutants/`: another run tries what has changed since, and what lived. Fails if too many live, if
docs/explanation/survivors.md doesn't say why one may, and without names if any was not tried.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutmut.stats import status_by_exit_code

from example_project.demo.redis_server import RedisServer
from tests.__main__ import environment, find_databases
from tests.mutants_report import HEAD, PAGE, complaints, count, lives, metas, row, unnamed

FOLDER = Path("mutants")


def main(names: list[str]) -> int:
    reached, _ = find_databases()
    for number, database in enumerate(reached):
        # What is named is tried in any case, also what another database has killed.
        chosen = living(names) if names and number else names
        forget_living(names)
        if chosen or not names:
            run(database, chosen)
    return report(are_all_meant=not names)


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
    for path in metas(FOLDER, Path()):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        found |= {name: status_by_exit_code[code] for name, code in codes.items()}
    return found


def living(patterns: list[str]) -> list[str]:
    """Return those of these that no database has killed."""
    return [name for name, status in results().items() if lives(name, status, patterns)]


def forget_living(patterns: list[str]) -> None:
    """Have those that live tried again: mutmut tries what it knows no result of."""
    for path in metas(FOLDER, Path()):
        known = json.loads(path.read_text())
        codes = known["exit_code_by_key"]
        for name, code in codes.items():
            if lives(name, status_by_exit_code[code], patterns):
                codes[name] = None
        path.write_text(json.dumps(known))


def report(*, are_all_meant: bool) -> int:
    """Print what became of them, by part; return 1 if too few were killed, or tried."""
    found = results()
    parts = count(found)
    print(row(HEAD[0], HEAD[1:]))
    for part in parts:
        print(part.line())
    print("`mutmut results` names those that live, `mutmut show NAME` shows one.")
    wrong = list(complaints(parts, are_all_meant=are_all_meant))
    wrong += [
        f"{PAGE} does not say why {name} may live." for name in unnamed(found, PAGE.read_text())
    ]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
