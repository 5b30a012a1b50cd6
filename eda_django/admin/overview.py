"""The overview: what an operator who was woken looks at first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..dispatch import queue_states
from ..models import OutboxEvent, Overview, RelayHeartbeat, Status, statistics
from ..models.progress import RETRYING
from ..models.statistics import DAY, MOST, Backlog, Done
from ..models.windows import first_event_since
from ..registry import registry
from .charts import Chart, chart
from .display import at_least, since, span
from .health import LATE, Signs, judge
from .readonly import PageAdmin
from .relays import heartbeat

HOUR = 60
# Minutes that one point of the day's chart stands for.
STEP = 15


@dataclass(slots=True)
class Row:
    """One subscription: what waits, and how it went of late."""

    name: str
    queue: str = ""
    is_known: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    rate: str = ""
    wait: tuple[str, str] = ("", "")
    run: tuple[str, str] = ("", "")
    last_success: datetime | None = None

    @property
    def is_bad(self) -> bool:
        return bool(self.counts.get("dead"))

    @property
    def success_ago(self) -> str:
        return since(self.last_success)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """The counts, by state, in the table's order; past MOST they are a lower bound."""
        return [
            (state, at_least(self.counts[state], MOST) if self.counts.get(state) else "")
            for state in STATES
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
        return overview()


def overview() -> dict[str, Any]:
    """Return everything that the page shows, by a number of statements that does not grow."""
    using = str(OutboxEvent.objects.db)
    names = statistics.subscribers_with_history(using)
    waiting = statistics.backlog(using)
    queues = queue_states()
    relays = list(RelayHeartbeat.objects.using(using).with_now().order_by("-beat_at"))
    oldest = _oldest(using, waiting)
    fresh = OutboxEvent.objects.using(using).fresh().order_by("id").values_list("time", flat=True)
    first_fresh = fresh.first()
    if first_fresh and (oldest is None or first_fresh < oldest):
        oldest = first_fresh
    aside = sum(statistics.set_aside_by_type(using).values())
    signs = Signs(
        relays=sum(relay.is_alive for relay in relays),
        dead=_sum(waiting, Status.DEAD),
        retrying=sum(part.count for part in waiting if part.is_retry),
        aside=aside,
        oldest=oldest,
        is_late=oldest is not None and oldest < timezone.now() - timedelta(seconds=LATE),
        queues=queues,
    )
    return {
        "health": judge(signs),
        "oldest": oldest,
        "oldest_since": since(oldest),
        "rows": _rows(using, names, waiting),
        "charts": _charts(using, names),
        "relays": [(relay, heartbeat(relay)) for relay in relays],
        "lag": since(first_fresh),
        "queues": queues,
        "now": timezone.now(),
        "most": MOST,
    }


def _oldest(using: str, waiting: Iterable[Backlog]) -> datetime | None:
    first = min((part.oldest for part in waiting if part.status != Status.DEAD), default=None)
    if first is None:
        return None
    found: datetime | None = (
        OutboxEvent.objects.using(using).filter(pk=first).values_list("time", flat=True).first()
    )
    return found


def _sum(waiting: Iterable[Backlog], status: Status) -> int:
    return sum(part.count for part in waiting if part.status == status)


def _rows(using: str, names: Sequence[str], waiting: Iterable[Backlog]) -> list[Row]:
    rows: dict[str, Row] = {}
    for subscription in registry:
        rows[subscription.name] = Row(
            subscription.name, queue=subscription.queue or "", is_known=True
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
    return sorted(rows.values(), key=lambda row: (not row.is_bad, row.name))


def _measure(row: Row, sample: Sequence[Done]) -> None:
    good = sum(done.status == Status.SUCCEEDED for done in sample)
    row.rate = f"{100 * good // len(sample)} %"
    row.wait = _percentiles([done.wait for done in sample if done.wait is not None])
    row.run = _percentiles([done.run for done in sample if done.run is not None])


def _percentiles(seconds: list[float]) -> tuple[str, str]:
    """Return the median and the 95th percentile, in words."""
    if not seconds:
        return "", ""
    ordered = sorted(seconds)
    middle, nearly_all = ordered[len(ordered) // 2], ordered[(len(ordered) * 95) // 100]
    return span(timedelta(seconds=middle)), span(timedelta(seconds=nearly_all))


def _charts(using: str, names: Sequence[str]) -> list[Chart]:
    now = timezone.now()
    first_id = first_event_since(now - DAY, using)
    published = statistics.published_by_minute(using, first_id=first_id)
    finished = statistics.finished_by_minute(using, names, since=now - DAY)
    minute = int(now.timestamp()) // 60
    return [
        _chart(_("Per minute, the last hour"), (published, finished), minute - HOUR + 1, HOUR, 1),
        _chart(
            _("Per 15 minutes, the last day"),
            (published, finished),
            minute - 24 * HOUR + 1,
            24 * HOUR // STEP,
            STEP,
        ),
    ]


def _chart(
    title: str, series: tuple[dict[int, int], dict[int, int]], first: int, points: int, step: int
) -> Chart:
    first_values, second_values = (
        [sum(by.get(first + n * step + m, 0) for m in range(step)) for n in range(points)]
        for by in series
    )
    # Where both ran into their limits, the line begins later than the chart.
    cut = any(sum(by.values()) >= MOST for by in series)
    text = _("The latest %(count)d only.") % {"count": MOST} if cut else ""
    return chart(title, first_values, second_values, begins=text)
