"""What the services page shows: who is up, what waits for whom, and what they did last."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count
from redis.exceptions import RedisError

from eda_django.models import FINISHED, Delivery, OutboxEvent, RelayHeartbeat, Status
from example_project.demo.switches import Switches, switches
from example_project.services import SERVICES, Service

from . import workers

# A relay beats every ten seconds.
RELAY_SILENCE = 25.0
# Deliveries to look through for the last one: by number, which has an index, where the time
# has none.
LATEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a service did last."""

    what: str
    event: str
    key: str
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One service on the page. `workers` is None when Redis can't be asked."""

    service: Service
    workers: int | None
    switched_on: bool | None
    counts: Counter[str] = field(default_factory=Counter)
    last: Deed | None = None

    @property
    def waiting(self) -> int:
        return sum(n for status, n in self.counts.items() if status != Status.DEAD)

    @property
    def dead(self) -> int:
        return self.counts[Status.DEAD]

    @property
    def retrying(self) -> int:
        return self.counts[Status.PENDING]

    @property
    def state(self) -> str:
        """up, down, starting, stopping, or unknown."""
        if self.workers is None:
            return "unknown"
        if self.switched_on is False and self.workers:
            return "stopping"
        if self.switched_on and not self.workers:
            return "starting"
        return "up" if self.workers else "down"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.service.name,
            "state": self.state,
            "workers": self.workers,
            "waiting": self.waiting,
            "dead": self.dead,
            "counts": dict(self.counts),
            "last": {
                "what": self.last.what,
                "event": self.last.event,
                "key": self.last.key,
                "at": self.last.at.isoformat(),
                "outcome": self.last.outcome,
            }
            if self.last
            else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The whole page."""

    entries: tuple[Entry, ...]
    relays: int
    unrelayed: int
    has_redis: bool
    has_switches: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "services": [entry.as_json() for entry in self.entries],
            "relays": self.relays,
            "unrelayed": self.unrelayed,
            "redis": self.has_redis,
        }


def look() -> Board:
    """Ask the database and Redis how things stand; without Redis it tells the rest."""
    panel = switches()
    alive = _alive()
    counts = _counts()
    return Board(
        entries=tuple(
            Entry(
                service=service,
                workers=None if alive is None else alive[service.name],
                switched_on=_is_on(panel, service),
                counts=counts.get(service.name, Counter()),
                last=_last(service),
            )
            for service in SERVICES
        ),
        relays=RelayHeartbeat.objects.alive(RELAY_SILENCE).count(),
        unrelayed=OutboxEvent.objects.filter(relayed_at=None).count(),
        has_redis=alive is not None,
        has_switches=panel is not None,
    )


def _alive() -> Counter[str] | None:
    try:
        return workers.alive_by_queue()
    except RedisError:
        return None


def _is_on(panel: Switches | None, service: Service) -> bool | None:
    return panel.is_on(service.name) if panel else None


def _counts() -> dict[str, Counter[str]]:
    """Return, by queue and status, how many deliveries are not finished."""
    rows = Delivery.objects.exclude(status__in=FINISHED).order_by()
    found: dict[str, Counter[str]] = {}
    for queue, status, count in rows.values_list("queue", "status").annotate(Count("pk")):
        found.setdefault(queue, Counter())[status] = count
    return found


def _last(service: Service) -> Deed | None:
    latest = Delivery.objects.filter(queue=service.name, finished_at__isnull=False)
    rows = latest.select_related("event").order_by("-pk")[:LATEST]
    ended = [(row.finished_at, row.pk, row) for row in rows if row.finished_at]
    if not ended:
        return None
    at, _, row = max(ended)
    return Deed(
        what=row.subscriber.rpartition(".")[2].replace("_", " "),
        event=row.event.type,
        key=row.event.key[:8].upper(),
        at=at,
        outcome=row.get_status_display().lower(),
    )
