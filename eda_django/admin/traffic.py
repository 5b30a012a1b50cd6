"""The overview's charts: events in and deliveries out, of the last hour and of the last day."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..models import statistics
from ..models.statistics import DAY, Traffic
from ..models.windows import first_event_since
from .charts import Chart, chart

HOUR = 60
# Minutes that one point of the day's chart stands for.
STEP = 15


def charts(using: str, names: Sequence[str]) -> list[Chart]:
    """Return both charts; `names` are those of the subscribers that ever finished something."""
    now = timezone.now()
    published = statistics.published_by_minute(using, first_id=first_event_since(now - DAY, using))
    finished = statistics.finished_by_minute(using, names, since=now - DAY)
    end = int(now.timestamp()) // 60 + 1
    series = (published, finished)
    return [
        _chart(_("Per minute, the last hour"), series, end - HOUR, HOUR, 1),
        _chart(_("Per 15 minutes, the last day"), series, end - 24 * HOUR, 24 * HOUR // STEP, STEP),
    ]


def _chart(
    title: str, series: tuple[Traffic, Traffic], first: int, points: int, step: int
) -> Chart:
    # Both lines begin where both are whole: one that begins low for want of counting is a lie.
    whole_from = max(first, *(one.whole_from for one in series))
    hidden = min(-(-(whole_from - first) // step), points)
    firsts, seconds = (
        [
            sum(one.by_minute.get(first + n * step + m, 0) for m in range(step))
            for n in range(hidden, points)
        ]
        for one in series
    )
    begins = _begins(first + hidden * step, is_empty=hidden == points) if hidden else ""
    return chart(title, firsts, seconds, begins=begins, hidden=hidden)


def _begins(minute: int, *, is_empty: bool) -> str:
    if is_empty:
        return _("Too much to count.")
    at = timezone.localtime(datetime.fromtimestamp(minute * 60, UTC))
    return _("From %(time)s on; before that there is too much to count.") % {
        "time": date_format(at, "TIME_FORMAT")
    }
