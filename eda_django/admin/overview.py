"""The overview: what an operator who was woken looks at first."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from ..dispatch.queues import queue_states
from ..models import OutboxEvent, Overview, RelayHeartbeat, Status, statistics, volumes
from ..models.statistics import Backlog
from ..models.status import RETRYING
from . import links
from .display import since
from .health import LATE, Signs, judge
from .readonly import PageAdmin
from .relays import heartbeat
from .subscriptions import subscriptions
from .traffic import charts


@admin.register(Overview)
class OverviewAdmin(PageAdmin):
    viewers = ("view_delivery",)
    template = "overview.html"
    title = gettext_lazy("Overview")

    scripts = ("eda_django/console.js",)

    def context(self, request: HttpRequest) -> dict[str, Any]:
        return overview(request)


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return everything that the page shows, by a number of statements that does not grow.

    But with the subscriptions, by four for every raw.NAMES of them, where the database is not
    PostgreSQL.
    """
    using = str(OutboxEvent.objects.db)
    names = statistics.subscribers_with_history(using)
    waiting = statistics.backlog(using)
    partial = _partial(waiting)
    aside = volumes.set_aside_by_type(using)
    queues = queue_states()
    relays = list(RelayHeartbeat.objects.using(using).with_now().order_by("-beat_at"))
    alive = [relay for relay in relays if relay.is_alive]
    needs_queues = any(not relay.inline for relay in alive)
    runs_inline = bool(alive) and not needs_queues
    if runs_inline and queues:
        # RQ's suspension keeps no relay from running the subscribers itself.
        queues = [replace(queue, is_paused=False) for queue in queues]
    events = OutboxEvent.objects.using(using)
    first_fresh = events.fresh().order_by("id").values_list("time", "pk").first()
    # Of those that are set aside no number is known.
    put_aside = ((one.first_at, None) for one in aside.values())
    times = _times(events, waiting)
    undelivered = [*((time, pk) for pk, time in times.items()), first_fresh, *put_aside]
    oldest, number = min((one for one in undelivered if one), key=_time, default=(None, None))
    signs = Signs(
        relays=len(alive),
        dead=_sum(part for part in waiting if part.status == Status.DEAD),
        retrying=_sum(part for part in waiting if part.is_retry),
        unready=_sum(part for part in waiting if part.is_aside),
        aside=volumes.total(aside),
        oldest=oldest,
        oldest_page=_page_of(request, number)
        if OverviewAdmin.may(request, "view_outboxevent")
        else "",
        is_late=oldest is not None and oldest < timezone.now() - timedelta(seconds=LATE),
        queues=queues,
        needs_queues=needs_queues,
        page=functools.partial(links.page, request),
        partial=partial | ({"aside"} if volumes.is_partial(aside) else set()),
    )
    return {
        "health": judge(signs),
        "oldest": oldest,
        "oldest_since": since(oldest),
        "is_oldest_of_all": partial <= {Status.DEAD},
        "rows": subscriptions(using, names, waiting, partial, queues or (), times),
        "charts": charts(using, names),
        "relays": [(relay, heartbeat(relay)) for relay in relays],
        "lag": since(first_fresh[0]) if first_fresh else "",
        "queues": queues,
        "runs_inline": runs_inline,
        "now": timezone.now(),
    }


def _partial(waiting: Sequence[Backlog]) -> frozenset[str]:
    """Return the states, and the parts of them, of which not all deliveries were counted."""
    found = {str(status) for status in statistics.partial(waiting)}
    return frozenset(found | ({RETRYING, "unready"} if Status.PENDING in found else set()))


def _times(events: Any, waiting: Iterable[Backlog]) -> dict[int, datetime]:
    """Return when the first event was published that each part waits for, by its number."""
    firsts = {part.oldest for part in waiting if part.status != Status.DEAD}
    return dict(events.filter(pk__in=firsts).values_list("pk", "time"))


def _time(found: tuple[datetime, Any]) -> datetime:
    return found[0]


def _page_of(request: HttpRequest, number: int | None) -> str:
    """Return the address of an event's page, or of the list of those that are set aside."""
    if number is None:
        return links.page(request, "eda_django_outboxevent_changelist") + "?state=aside"
    return links.page(request, "eda_django_outboxevent_change", number)


def _sum(waiting: Iterable[Backlog]) -> int:
    return sum(part.count for part in waiting)
