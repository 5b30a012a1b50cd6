"""The rows of the overview: each subscription, what waits for it, and how it went of late."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from .. import conf
from ..dispatch.queues import QueueState
from ..models import Status, statistics
from ..models.statistics import Backlog, Done
from ..models.status import RETRYING
from ..registry import registry
from .display import or_more, since, span

# What is wrong first: a phone shows no more than two of them at once.
STATES = ("dead", RETRYING, Status.PENDING, Status.QUEUED, Status.RUNNING)


@dataclass(slots=True)
class Row:
    """One subscription: what waits, and how it went of late."""

    name: str
    queue: str = ""
    is_known: bool = False
    # Jobs wait in its queue, and no worker takes them.
    is_stuck: bool = False
    # No worker starts anything from its queue until an operator says so.
    is_paused: bool = False
    # When the oldest event was published that it is not through with.
    oldest: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    # States of which not all deliveries were counted.
    partial: frozenset[str] = frozenset()
    rate: str = ""
    wait: tuple[str, str] = ("", "")
    run: tuple[str, str] = ("", "")
    last_success: datetime | None = None

    @property
    def is_bad(self) -> bool:
        return self.is_stuck or bool(self.counts.get("dead"))

    @property
    def success_ago(self) -> str:
        return since(self.last_success)

    @property
    def oldest_since(self) -> str:
        text = since(self.oldest)
        # Of a state that was not counted in full another may be older.
        is_bound = text and not self.partial <= {Status.DEAD}
        return _("%(time)s or more") % {"time": text} if is_bound else text

    @property
    def cells(self) -> list[tuple[str, int, str]]:
        """The counts, by state, in the table's order, as numbers and as they are shown."""
        counts = [(state, self.counts.get(state, 0)) for state in STATES]
        return [
            (state, count, or_more(count, is_partial=state in self.partial))
            for state, count in counts
        ]


def subscriptions(
    using: str,
    names: Sequence[str],
    waiting: Iterable[Backlog],
    partial: frozenset[str],
    queues: Iterable[QueueState],
    times: Mapping[int, datetime],
) -> list[Row]:
    """Return the rows, those first that something is wrong with.

    `names`: who ever finished a delivery. `partial`: the states of which not all were counted.
    `times`: when the oldest event of each part of `waiting` was published, by its number.
    """
    rows: dict[str, Row] = {}
    stuck = {queue.name for queue in queues if queue.depth and not queue.workers}
    paused = {queue.name for queue in queues if queue.is_paused}
    for subscription in registry:
        queue = subscription.queue or conf.get("QUEUE")
        rows[subscription.name] = Row(
            subscription.name,
            queue=queue,
            is_known=True,
            is_stuck=queue in stuck,
            is_paused=queue in paused,
        )
    for part in waiting:
        row = rows.setdefault(part.subscriber, Row(part.subscriber))
        state = RETRYING if part.is_retry else str(part.status)
        row.counts[state] = row.counts.get(state, 0) + part.count
        if time := times.get(part.oldest) if part.status != Status.DEAD else None:
            row.oldest = min(row.oldest or time, time)
    samples: dict[str, list[Done]] = defaultdict(list)
    for done in statistics.latest_done(using, names):
        samples[done.subscriber].append(done)
    for name, at in statistics.last_successes(using, names).items():
        rows.setdefault(name, Row(name)).last_success = at
    for name, sample in samples.items():
        _measure(rows.setdefault(name, Row(name)), sample)
    for row in rows.values():
        row.partial = partial
    return sorted(rows.values(), key=lambda row: (not row.is_bad, row.name))


def _measure(row: Row, sample: Sequence[Done]) -> None:
    # An operator's discard says nothing of how the subscriber does.
    tried = [done.status for done in sample if done.status != Status.DISCARDED]
    good = tried.count(Status.SUCCEEDED)
    row.rate = f"{100 * good // len(tried)} %" if tried else ""
    row.wait = _percentiles([done.wait for done in sample if done.wait is not None])
    row.run = _percentiles([done.run for done in sample if done.run is not None])


def _percentiles(seconds: list[float]) -> tuple[str, str]:
    """Return the median and the 95th percentile, in words."""
    if not seconds:
        return "", ""
    ordered = sorted(seconds)
    middle, nearly_all = ordered[len(ordered) // 2], ordered[(len(ordered) * 95) // 100]
    return span(timedelta(seconds=middle)), span(timedelta(seconds=nearly_all))
