"""One session of the demo, from the empty folder to the last process that ends."""

import os
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from .interrupts import interrupts
from .place import Place
from .shop import Shop
from .supervisor import Supervisor
from .switches import Switches


def demonstrate(folder: Path, *, orders: int) -> int:
    """Run the shop, for so many customers or until Ctrl-C; return the exit code."""
    # Soft-wrapped, because an address that is cut in two can't be clicked, or read by a program.
    console = Console(highlight=False, soft_wrap=True)
    with Place(folder) as place:
        os.environ |= place.environment()
        switches = Switches(place.switches)

        def say(text: str) -> None:
            # A terminal that is gone keeps nothing from being stopped.
            with suppress(OSError):
                # Logs may hold brackets, which are not meant for the console.
                console.print(text, markup=False)

        with Supervisor(switches=switches, say=say) as supervisor:
            try:
                return _run(Shop(place, supervisor), switches, console, orders)
            finally:
                # Without a call, in which another Ctrl-C could come: it would leave pieces running.
                interrupts.may_come = False
                say("Stopping everything …")


def _run(shop: Shop, switches: Switches, console: Console, orders: int) -> int:
    console.print("Setting up the shop …")
    shop.provide_redis()
    since = shop.load(customers=orders)
    shop.open()
    console.print(f"Shop: {shop.address}")
    console.print(f"Services: {shop.address}services/  (stop one, then order something)")
    console.print(f"Admin: {shop.address}admin/  (login admin, password admin)")
    console.print(f"Logs: {shop.place.logs}")
    shop.place.announce(shop.address)
    # Has models, which can be imported only now.
    from .run import Run

    run = Run(
        address=shop.address,
        since=since,
        supervisor=shop.supervisor,
        switches=switches,
        console=console,
    )
    if not orders:
        console.print("Ctrl-C stops everything.")
        run.watch()
    report = run.serve(orders)
    console.print(report.table())
    for line in report.complaints():
        console.print(line, style="red", markup=False)
    return 0 if report.is_clean else 1
