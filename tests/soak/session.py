"""One soak, from the empty database to the report."""

import os
import time
from pathlib import Path

import django
from rich.console import Console

from example_project.demo.redis_server import RedisServer
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests import databases
from tests.forking import preload
from tests.soak.place import Place, steady_port

FORK, SIMPLE = "rq.Worker", "rq.SimpleWorker"
WORKERS = (
    (FORK, "fast", "slow"),
    (SIMPLE, "slow", "fast"),
    (FORK, "slow", "fast"),
    (SIMPLE, "fast", "slow"),
)
PUBLISHERS = 3
RELAYS, SQLITE_RELAYS = 2, 1


def soak(folder: Path, *, minutes: float, seed: int, report: Path | None) -> int:
    """Run a soak and write its report; return the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    where = Place(folder / (databases.vendor() if not os.environ.get("DATABASE_URL") else "url"))
    with where as place:
        redis = RedisServer(place.redis, port=steady_port())
        os.environ |= place.environment(redis_port=redis.port)
        preload("tests.soak.publisher")
        set_up(place)
        # Have models, which can be imported only now.
        from tests.soak.report import Report
        from tests.soak.run import Run

        switches = Switches(place.switches)
        diary = place.log("supervisor").open("w")

        def say(text: str) -> None:
            print(text, file=diary, flush=True)

        with Supervisor(switches=switches, say=say, young=0.0) as supervisor:
            run = Run(place, supervisor, switches, redis, seed=seed, console=console)
            run.start()
            began = time.monotonic()
            run.disturb(minutes * 60)
            seconds = time.monotonic() - began
            run.drain()
        found = Report(run=run, seed=seed, seconds=seconds)
        path = report or place.folder / "report.md"
        path.write_text(found.markdown())
        console.print(found.markdown(), markup=False)
        console.print(f"Report: {path}. Logs: {place.logs}", markup=False)
        if found.is_clean:
            close_and_drop(place)
        elif not place.is_sqlite:
            console.print(f"The database {place.database} is kept.", markup=False)
        return 0 if found.is_clean else 1


def set_up(place: Place) -> None:
    """Make the database and its tables."""
    django.setup()
    from django.core.management import call_command

    place.make_database()
    call_command("migrate", verbosity=0)


def close_and_drop(place: Place) -> None:
    from django.db import connections

    connections.close_all()
    place.drop_database()
    connections.close_all()
