"""The measurements of recovery: the parts are run, and the table printed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from example_project.demo.redis_server import RedisServer
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from tests import databases
from tests.forking import preload
from tests.soak.measured_shop import Conditions, Row, Shop
from tests.soak.place import LEASE, Place, steady_port
from tests.soak.revision import commit
from tests.soak.servers import OWN
from tests.soak.session import close_and_drop, set_up


def measure(
    folder: Path, *, parts: Sequence[str], trials: int, rate: int, conditions: Conditions
) -> list[Row]:
    """Run these parts and print the table; return its rows."""
    console = Console(highlight=False, soft_wrap=True)
    server = OWN.get(databases.vendor()) if "server" in parts else None
    rows = []
    with_server = server is not None and server.is_installed()
    with shop(folder, conditions, with_server=with_server) as measured:
        for part in parts:
            if part == "server" and measured.restart_server is None:
                continue
            if part == "connections" and measured.place.is_sqlite:
                continue
            rows += getattr(measured, part)(trials, rate)
        console.print(
            f"Recovery on {measured.outside.version()}, LEASE {LEASE:g} s, away for "
            f"{conditions.down:g} s, {conditions.worker_class}, commit {commit()}\n"
        )
        console.print(
            "| what | trials | median, s | longest, s | promised, s |\n|---|---|---|---|---|"
        )
        for row in rows:
            console.print(row.line(), markup=False)
    return rows


@contextmanager
def shop(folder: Path, conditions: Conditions, *, with_server: bool) -> Iterator[Shop]:
    """Run a shop, on a database server of its own if that is to be restarted."""
    vendor = databases.vendor()
    own = (
        OWN[vendor](folder.absolute() / f"{vendor}-server" / str(os.getpid()))
        if with_server
        else None
    )
    try:
        if own:
            own.start()
        with Place(folder / vendor, name="recovery", server_url=own.url if own else "") as place:
            redis = RedisServer(place.redis, port=steady_port())
            os.environ |= place.environment(redis_port=redis.port)
            preload("tests.soak.publisher")
            set_up(place)
            switches = Switches(place.switches)
            with Supervisor(switches=switches, say=lambda text: None, young=0.0) as supervisor:
                restart = own.restart if own else None
                yield Shop(place, supervisor, switches, redis, restart, conditions)
            close_and_drop(place)
    finally:
        if own:
            own.stop()
