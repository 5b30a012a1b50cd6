"""The overview: what an operator who was woken looks at first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from .. import conf
from ..dispatch import QueueState, queue_states
from ..models import OutboxEvent, Overview, RelayHeartbeat, Status, statistics, volumes
from ..models.statistics import Backlog, Done
from ..models.status import RETRYING
from ..registry import registry
from .display import or_more, since, span
from .health import LATE, Signs, judge
from .readonly import PageAdmin
from .relays import heartbeat
from .traffic import charts


@dataclass(slots=True)
class Row:
    """One subscription: what waits, and how it went of late."""

    name: str
    queue: str = ""
    is_known: bool = False
    # Jobs wait in its queue, and no worker takes them.
    is_stuck: bool = False
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
    def cells(self) -> list[tuple[str, int, str]]:
        """The counts, by state, in the table's order, as numbers and as they are shown."""
        counts = [(state, self.counts.get(state, 0)) for state in STATES]
        return [
            (state, count, or_more(count, is_partial=state in self.partial))
            for state, count in counts
        ]


# What is wrong first: a phone shows no more than two of them at once.
STATES = ("dead", RETRYING, Status.PENDING, Status.QUEUED, Status.RUNNING)


@admin.register(Overview)
class OverviewAdmin(PageAdmin):
    viewers = ("view_delivery",)
    template = "overview.html"
    title = gettext_lazy("Overview")

    scripts = ("eda_django/console.js",)

    def context(self, request: HttpRequest) -> dict[str, Any]:
        return overview(request)


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return everything that the page shows, by a number of statements that does not grow."""
    using = str(OutboxEvent.objects.db)
    names = statistics.subscribers_with_history(using)
    waiting = statistics.backlog(using)
    partial = _partial(waiting)
    aside = volumes.set_aside_by_type(using)
    queues = queue_states()
    relays = list(RelayHeartbeat.objects.using(using).with_now().order_by("-beat_at"))
    alive = [relay for relay in relays if relay.is_alive]
    events = OutboxEvent.objects.using(using)
    first_fresh = events.fresh().order_by("id").values_list("time", "pk").first()
    # Of those that are set aside no number is known.
    put_aside = ((one.first_at, None) for one in aside.values())
    undelivered = [_oldest(events, waiting), first_fresh, *put_aside]
    oldest, number = min((one for one in undelivered if one), key=_time, default=(None, None))
    signs = Signs(
        relays=len(alive),
        dead=_sum(part for part in waiting if part.status == Status.DEAD),
        retrying=_sum(part for part in waiting if part.is_retry),
        unready=_sum(part for part in waiting if part.is_aside),
        aside=volumes.total(aside),
        oldest=oldest,
        oldest_page=_page_of(number) if OverviewAdmin.may(request, "view_outboxevent") else "",
        is_late=oldest is not None and oldest < timezone.now() - timedelta(seconds=LATE),
        queues=queues,
        needs_queues=any(not relay.inline for relay in alive),
        partial=partial | ({"aside"} if volumes.is_partial(aside) else set()),
    )
    return {
        "health": judge(signs),
        "oldest": oldest,
        "oldest_since": since(oldest),
        "is_oldest_of_all": partial <= {Status.DEAD},
        "rows": _rows(using, names, waiting, partial, queues or ()),
        "charts": charts(using, names),
        "relays": [(relay, heartbeat(relay)) for relay in relays],
        "lag": since(first_fresh[0]) if first_fresh else "",
        "queues": queues,
        "runs_inline": bool(alive) and not signs.needs_queues,
        "now": timezone.now(),
    }


def _partial(waiting: Sequence[Backlog]) -> frozenset[str]:
    """Return the states, and the parts of them, of which not all deliveries were counted."""
    found = {str(status) for status in statistics.partial(waiting)}
    return frozenset(found | ({RETRYING, "unready"} if Status.PENDING in found else set()))


def _oldest(events: Any, waiting: Iterable[Backlog]) -> tuple[datetime, int] | None:
    first = min((part.oldest for part in waiting if part.status != Status.DEAD), default=None)
    if first is None:
        return None
    rows = events.filter(pk=first).values_list("time", "pk")
    found: tuple[datetime, int] | None = rows.first()
    return found


def _time(found: tuple[datetime, Any]) -> datetime:
    return found[0]


def _page_of(number: int | None) -> str:
    """Return the address of an event's page, or of the list of those that are set aside."""
    if number is None:
        return reverse("admin:eda_django_outboxevent_changelist") + "?state=aside"
    return reverse("admin:eda_django_outboxevent_change", args=[number])


def _sum(waiting: Iterable[Backlog]) -> int:
    return sum(part.count for part in waiting)


def _rows(
    using: str,
    names: Sequence[str],
    waiting: Iterable[Backlog],
    partial: frozenset[str],
    queues: Iterable[QueueState],
) -> list[Row]:
    rows: dict[str, Row] = {}
    stuck = {queue.name for queue in queues if queue.depth and not queue.workers}
    for subscription in registry:
        queue = subscription.queue or conf.get("QUEUE")
        rows[subscription.name] = Row(
            subscription.name, queue=queue, is_known=True, is_stuck=queue in stuck
        )
    for part in waiting:
        row = rows.setdefault(part.subscriber, Row(part.subscriber))
        state = RETRYING if part.is_retry else str(part.status)
        row.counts[state] = row.counts.get(state, 0) + part.count
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
