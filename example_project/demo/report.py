"""The table at the end: what was ordered, what became of it, and whether anything went wrong."""

from collections.abc import Sequence

from rich.table import Table

from .audit import Audit
from .customers import BROKEN, Visit
from .tally import Tally

MOST_SHOWN = 20


class Report:
    """What a run comes to."""

    def __init__(
        self, *, visits: Sequence[Visit], audit: Audit, tally: Tally, seconds: float
    ) -> None:
        self.visits = visits
        self.audit = audit
        self.tally = tally
        self.seconds = seconds

    @property
    def errors(self) -> list[str]:
        """What customers met instead of a page."""
        return [f"customer {v.plan.number}: {v.error}" for v in self.visits if v.error]

    @property
    def unplanned(self) -> int:
        """Dead letters beyond those that are in the plan: one for each order with a broken card."""
        planned = sum(len(v.order_ids) for v in self.visits if v.plan.card == BROKEN)
        return max(self.tally.dead - planned, 0)

    @property
    def is_clean(self) -> bool:
        wrong = (self.audit.lost, self.audit.doubled, self.errors, self.unplanned)
        return not any(wrong) and self.tally.is_settled

    def complaints(self) -> list[str]:
        """Return a line for each thing that is wrong."""
        lines = [f"error: {text}" for text in self.errors]
        if not self.tally.is_settled:
            lines.append(f"unfinished: {self.tally.waiting} deliveries do not move, see the logs")
        if self.unplanned:
            lines.append(f"dead: {self.unplanned} deliveries more than planned, see the admin")
        lines += [f"lost: {text}" for text in self.audit.lost]
        lines += [f"doubled: {text}" for text in self.audit.doubled]
        rest = len(lines) - MOST_SHOWN
        return lines if rest <= 0 else [*lines[:MOST_SHOWN], f"… and {rest} more"]

    def rows(self) -> list[tuple[str, int, str]]:
        """Return the table's rows: what, how many, and what that means."""
        a, t = self.audit, self.tally
        clicks = sum(v.plan.clicks > 1 and bool(v.order_ids) for v in self.visits)
        return [
            ("customers", len(self.visits), ""),
            ("orders placed", a.placed, f"{clicks} of them by a double click" if clicks else ""),
            ("  paid", a.paid, "invoice written, mail sent"),
            ("  refused", a.declined + a.sold_out, f"{a.declined} declined, {a.sold_out} sold out"),
            ("  stuck", a.stuck, "a dead letter waits in the admin"),
            ("events published", t.published, f"in {self.seconds:.0f} s"),
            ("  delivered", t.delivered, ""),
            ("  retried", t.retried, ""),
            ("  dead", t.dead, ""),
            ("lost", len(a.lost), "effects that are missing"),
            ("doubled", len(a.doubled), "effects that happened twice"),
        ]

    def table(self) -> Table:
        table = Table(title="What became of it", title_justify="left", show_header=False)
        table.add_column("what")
        table.add_column("count", justify="right")
        table.add_column("remark", style="dim")
        for what, count, remark in self.rows():
            is_wrong = what in ("lost", "doubled") and count
            style = "bold red" if is_wrong else ("bold" if what == what.lstrip() else "")
            table.add_row(what, f"{count:,}", remark, style=style)
            if what.strip() in ("stuck", "dead"):
                table.add_section()
        return table
