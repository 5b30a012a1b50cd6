"""One look at everything that could need a relay."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from .clock import NOW_SQL

# Raw, because the ORM cannot ask seven questions at once without a table to ask. Each
# part reads one entry of one index; an idle relay costs the database this and nothing else.
# Not MIN(): for that MariaDB reads every entry, unless it stands for a whole condition. And not
# EXISTS for events: PostgreSQL takes the two nulls for independent, expects one in few rows, and
# reads the table for it from end to end.
_SQL = """
SELECT
  {now},
  (SELECT id FROM eda_django_outboxevent
    WHERE relayed_at IS NULL AND available_at IS NULL ORDER BY id LIMIT 1),
  (SELECT available_at FROM eda_django_outboxevent
    WHERE relayed_at IS NULL AND available_at IS NOT NULL ORDER BY available_at LIMIT 1),
  (SELECT due_at FROM eda_django_delivery WHERE status = 'pending' ORDER BY due_at LIMIT 1),
  (SELECT lease_until FROM eda_django_delivery
    WHERE status = 'queued' AND lease_until IS NOT NULL{since} ORDER BY lease_until LIMIT 1),
  (SELECT lease_until FROM eda_django_delivery
    WHERE status = 'running' AND lease_until IS NOT NULL ORDER BY lease_until LIMIT 1),
  EXISTS (SELECT 1 FROM eda_django_bulkoperation WHERE status = 'running')
"""
# Only what is new and what is due: of leases, too, there may be many dead row versions.
_FROM_FLOOR = """
SELECT
  {now},
  (SELECT id FROM eda_django_outboxevent
    WHERE relayed_at IS NULL AND available_at IS NULL AND id >= %s ORDER BY id LIMIT 1),
  (SELECT available_at FROM eda_django_outboxevent
    WHERE relayed_at IS NULL AND available_at IS NOT NULL ORDER BY available_at LIMIT 1),
  (SELECT due_at FROM eda_django_delivery WHERE status = 'pending' ORDER BY due_at LIMIT 1),
  NULL,
  NULL,
  NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Seconds until each kind of work is due: 0 or less for now, None for none in sight.

    With a floor, only events from that id on were looked for, and no leases.
    """

    fresh: bool
    scheduled_in: float | None
    due_in: float | None
    lapse_in: float | None
    # The same, of what no worker has started.
    queued_lapse_in: float | None = None
    floor: int = 0
    # An operator has begun a bulk operation.
    must_operate: bool = False

    @property
    def must_fan_out(self) -> bool:
        return self.fresh or self.must_release

    @property
    def must_release(self) -> bool:
        return _is_now(self.scheduled_in)

    @property
    def must_push(self) -> bool:
        return _is_now(self.due_in)

    @property
    def must_reconcile(self) -> bool:
        return _is_now(self.lapse_in)

    def next_in(self, at_most: float, *, contended: float, slow: float) -> float:
        """Return the seconds until something is due, `at_most` if nothing is before.

        What is due already and did not move is in other hands: look again after `contended`, or
        after `slow` where a lease has lapsed, or an operation runs: only newer code may know it.
        """
        waits = [at_most]
        if self.fresh:
            waits.append(contended)
        if self.must_operate:
            waits.append(slow)
        times = (self.scheduled_in, self.due_in)
        waits += [t if t > 0 else contended for t in times if t is not None]
        if self.lapse_in is not None:
            waits.append(self.lapse_in if self.lapse_in > 0 else slow)
        return min(waits)


def look(using: str, *, floor: int = 0, since: datetime | None = None) -> Outlook:
    """Ask the database, in one statement, what there is to do and when.

    What waits in its queue counts only if its lease ends at `since` or later.
    """
    connection = connections[using]
    sql = (_FROM_FLOOR if floor else _SQL).format(
        now=NOW_SQL[connection.vendor], since=" AND lease_until >= %s" if since else ""
    )
    params: list[Any] = []
    if floor:
        params = [floor]
    elif since:
        params = [connection.ops.adapt_datetimefield_value(since)]
    else:
        # "%%" is the ORM's spelling; a statement without parameters is not unescaped.
        sql = sql.replace("%%", "%")
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        now, fresh, *times, operates = cursor.fetchone()
    now = _moment(now)
    waits = [None if t is None else (_moment(t) - now).total_seconds() for t in times]
    scheduled, due, queued, running = waits
    lapses = [t for t in (queued, running) if t is not None]
    return Outlook(
        fresh=fresh is not None,
        scheduled_in=scheduled,
        due_in=due,
        lapse_in=min(lapses) if lapses else None,
        queued_lapse_in=queued,
        floor=floor,
        must_operate=bool(operates),
    )


def _is_now(seconds: float | None) -> bool:
    return seconds is not None and seconds <= 0


def _moment(value: Any) -> datetime:
    # SQLite answers with texts.
    return datetime.fromisoformat(value) if isinstance(value, str) else value
