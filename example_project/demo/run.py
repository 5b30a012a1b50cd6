"""What happens in the demo once its shop is open: customers, or a line that tells how it goes."""

import time
from collections.abc import Sequence
from typing import NoReturn

from django.db import DatabaseError, InterfaceError, connection
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from . import customers
from .audit import Opening, audit
from .outage import Outage
from .report import Report
from .supervisor import Supervisor
from .switches import Switches
from .tally import Tally, last_event, tally

LOOK = 0.5
# Seconds between two lines of status where they can't overwrite each other.
RARE_LOOK = 10.0
# Seconds without any change after which nothing more is to be hoped for. Retries and leases of
# the demo take a fraction of it, on a slow machine too.
PATIENCE = 120.0


class Run:
    """One run, in which everything after the event `since` is counted."""

    def __init__(
        self,
        *,
        address: str,
        since: int,
        supervisor: Supervisor,
        switches: Switches,
        console: Console,
    ) -> None:
        self.address = address
        self.since = since
        self.supervisor = supervisor
        self.switches = switches
        self.console = console

    def watch(self) -> NoReturn:
        """Show how things stand until Ctrl-C."""
        if not self.console.is_terminal:
            while True:
                self.console.print(self.status())
                time.sleep(RARE_LOOK)
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self.status(), refresh=True)
                time.sleep(LOOK)

    def status(self) -> str:
        """Return one line, which fits into a narrow window: deliveries, and pieces that run."""
        names = [piece.name for piece in self.supervisor.pieces]
        down = [name for name in names if not self.supervisor.is_up(name)]
        try:
            counts = tally(self.since)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            return f"the database is away: {str(error).splitlines()[0]}"
        line = f"{counts.waiting} waiting · {counts.delivered} done · {counts.dead} dead"
        line += f" · {len(names) - len(down)} of {len(names)} up"
        return line + (f" · [red]down: {' '.join(down)}[/red]" if down else "")

    def serve(self, orders: int) -> Report:
        """Send customers in, wait until all that they caused is settled, and check the books."""
        with self._progress() as progress:
            # What an earlier run has left on this database would move the stock meanwhile.
            self._settle(progress, "Opening", after=0)
            self.since = last_event()
            opening, started = Opening.now(), time.monotonic()
            crowd = customers.plans(orders, opening.stock)
            outage = Outage("payments", switches=self.switches, customers=orders)
            bar = progress.add_task("Customers", total=orders)

            def leave(visit: customers.Visit) -> None:
                outage.note(visit)
                progress.advance(bar)

            visits = customers.send(crowd, address=self.address, on_visit=leave)
            counts = self._settle(progress, "Deliveries", after=self.since)
        if outage.seconds:
            self.console.print(outage)
        return self._report(visits, counts, opening, time.monotonic() - started)

    def _report(
        self, visits: Sequence[customers.Visit], counts: Tally, opening: Opening, seconds: float
    ) -> Report:
        checked = audit(opening, [visit.order_ids for visit in visits])
        return Report(visits=visits, audit=checked, tally=counts, seconds=seconds)

    def _settle(self, progress: Progress, title: str, *, after: int) -> Tally:
        """Wait until nothing waits any more, or until nothing has moved for too long."""
        counts = tally(after)
        bar = progress.add_task(title)
        moved_at = time.monotonic()
        while not counts.is_settled and time.monotonic() - moved_at < PATIENCE:
            self._show(progress, bar, counts)
            time.sleep(LOOK)
            before, counts = counts, tally(after)
            if counts != before:
                moved_at = time.monotonic()
        self._show(progress, bar, counts)
        return counts

    def _show(self, progress: Progress, bar: TaskID, counts: Tally) -> None:
        done = counts.delivered + counts.dead
        progress.update(bar, completed=done, total=done + counts.waiting)

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        )
