"""The soak at one command: `python -m tests.soak --minutes=10 --seed=1`.

DATABASE_URL or EDA_TEST_DATABASE (sqlite, postgresql, mariadb) says on which database server. The
soak makes a database of its own there, and drops it if it has found nothing wrong.
"""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    # Only now: every fork imports this module, and needs nothing of it.
    from tests.soak.session import soak

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        return soak(
            options.folder, minutes=options.minutes, seed=options.seed, report=options.report
        )
    except KeyboardInterrupt:
        return INTERRUPTED


def parse(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="How long faults are injected.")
    parser.add_argument("--seed", type=int, default=1, help="What all decisions are drawn from.")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".soak"),
        help="Where logs and a SQLite database go; emptied at the start (default: %(default)s).",
    )
    parser.add_argument("--report", type=Path, help="Where the report goes (default: the folder).")
    return parser.parse_args(arguments)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
