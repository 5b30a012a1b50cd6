"""The shop at one command: `python -m example_project.demo [--orders=N]`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .errors import DemoError
from .interrupts import interrupts

NEEDED = ("dj_database_url", "rich")
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        print(f"{' and '.join(missing)} not found. Run: pip install 'eda-django[demo]'")
        return 1
    interrupts.obey()
    try:
        # Only now: it needs what has just been looked for.
        from .session import demonstrate

        return demonstrate(options.folder, orders=options.orders)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Without customers that is how it is meant to end.
        return INTERRUPTED if options.orders else 0


def _parse(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m example_project.demo",
        description="Runs the example shop: web server, relay, and a worker for each service.",
        epilog="DATABASE_URL and REDIS_URL put it on a database and a Redis that run already.",
    )
    parser.add_argument(
        "--orders",
        type=_count,
        default=0,
        metavar="N",
        help="Send N customers through the shop, print what became of it, and end.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".demo"),
        help="Where database, logs and mail go: a new folder, an empty one or that of an earlier "
        "demo, which is emptied at the start (default: %(default)s).",
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    # Empty is what a Makefile's variable is that nobody has set.
    count = int(text or 0) if (text or "0").isdecimal() else -1
    if not 0 <= count <= 100_000:
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 to 100000.")
    return count


if __name__ == "__main__":
    sys.exit(main())
