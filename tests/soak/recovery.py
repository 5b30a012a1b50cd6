"""How long it takes until all is as before: `python -m tests.soak.recovery`.

Kills a worker, a relay, Redis and the database, one after the other, under a steady load, and
prints a table. The database server is chosen as for the soak; the one that is restarted is
another, of the measurement's own.
"""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from tests.soak.__main__ import INTERRUPTED, interrupt

PARTS = ("worker", "relay", "redis", "connections", "server")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    # Only now: every fork imports this module, and needs nothing of it.
    from tests.soak.measured_shop import Conditions
    from tests.soak.measuring import measure

    # So that the servers end, too.
    signal.signal(signal.SIGTERM, interrupt)
    try:
        rows = measure(
            options.folder,
            parts=options.parts,
            trials=options.trials,
            rate=options.rate,
            conditions=Conditions(down=options.down, worker_class=options.worker_class),
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if all(row.is_kept for row in rows) else 1


def parse(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m tests.soak.recovery", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"From {', '.join(PARTS)}.")
    parser.add_argument("--trials", type=int, default=5, help="How often each thing is killed.")
    parser.add_argument("--rate", type=int, default=5, help="Events a second, of two deliveries.")
    parser.add_argument(
        "--down", type=float, default=3.0, help="Seconds that Redis and the database stay away."
    )
    parser.add_argument(
        "--worker-class", default="rq.SimpleWorker", help="The class of the workers."
    )
    parser.add_argument("--folder", type=Path, default=Path(".soak/recovery"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
