"""The outbox: events, from the publisher's transaction until they are pruned."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models
from django.db.models import Case, Exists, F, Max, OuterRef, Q, When
from django.utils.translation import gettext_lazy as _

from ..conf import MAX_NAME
from ..events import Event
from ..failures import storable
from . import by_key, pruning
from .clock import DatabaseNow, after
from .delivery import Delivery
from .indexes import HotIndex
from .locking import skip_locked, skip_locked_clause
from .spelled import SpelledExact, spell
from .status import FINISHED
from .unparsed import ParsedLate

MAX_ERROR = 2_000
# The least that times differ by, in every database.
TICK = timedelta(microseconds=1)

# Raw, because Django's compiler took longer over it than the database, for every batch. Two of
# them: "from 0 on" would have MariaDB take another index, and sort what it finds.
_FRESH = """
SELECT e.id, e.type, e.key FROM eda_django_outboxevent e
 WHERE e.relayed_at IS NULL AND e.available_at IS NULL
 ORDER BY e.id LIMIT %s
"""
_FRESH_FROM = """
SELECT e.id, e.type, e.key FROM eda_django_outboxevent e
 WHERE e.relayed_at IS NULL AND e.available_at IS NULL AND e.id >= %s
 ORDER BY e.id LIMIT %s
"""


class FreshEvent(NamedTuple):
    """What the relay reads of an event. A row of the model takes longer to make than to read."""

    pk: int
    type: str
    key: str


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    """What the relay, the admin and the tests do with events."""

    def fresh(self) -> "OutboxQuerySet":
        """Events that nobody has fanned out, and that may be now, oldest first."""
        return self.filter(relayed_at=None, available_at=None).order_by("id")

    def scheduled(self) -> "OutboxQuerySet":
        """Events that wait for a time: delayed ones, and those set aside with an error."""
        return self.filter(relayed_at=None).exclude(available_at=None)

    def set_aside(self) -> "OutboxQuerySet":
        """Events that no relay could route so far."""
        return self.scheduled().exclude(error="")

    def lock_fresh(self, limit: int, *, floor: int = 0) -> list[FreshEvent]:
        """Lock up to `limit` fresh events that no other relay holds, of ids from `floor` on.

        Inside a transaction.
        """
        sql = (_FRESH_FROM if floor else _FRESH) + skip_locked_clause(self.db)
        with connections[self.db].cursor() as cursor:
            cursor.execute(sql, [floor, limit] if floor else [limit])
            return [FreshEvent._make(row) for row in cursor.fetchall()]

    def release_scheduled(self, limit: int) -> int:
        """Let up to `limit` events go whose time has come; inside a transaction."""
        due = self.scheduled().filter(available_at__lte=DatabaseNow()).order_by("available_at")
        ids = [row.pk for row in skip_locked(due.only("id"))[:limit]]
        return by_key.update(self.filter(pk__in=ids), available_at=None) if ids else 0

    def mark_relayed(self, ids: Sequence[int]) -> None:
        """Record that every subscription has its delivery of these events."""
        if ids and connections[self.db].vendor == "postgresql":
            # Django would write a list of 500 ids as 500 parameters, which takes longer than the
            # database does.
            with connections[self.db].cursor() as cursor:
                cursor.execute(
                    """
                    UPDATE eda_django_outboxevent
                    SET relayed_at = STATEMENT_TIMESTAMP(), error = ''
                    WHERE id = ANY(%s::bigint[]) AND relayed_at IS NULL
                    """,
                    ["{" + ",".join(map(str, ids)) + "}"],
                )
        elif ids:
            rows = self.filter(pk__in=ids, relayed_at=None)
            by_key.update(rows, relayed_at=DatabaseNow(), error="")

    def least_wait(self, ids: Sequence[int]) -> float:
        """Return the seconds that the youngest of these events has waited for newer code.

        None before it is put aside for the first time: when it was published is known by the
        publisher's clock only, which may be wrong.
        """
        since = Case(When(error="", then=DatabaseNow()), default=F("time"))
        found = self.filter(pk__in=ids).aggregate(since=Max(since), now=Max(DatabaseNow()))
        waited: timedelta = found["now"] - found["since"]
        return waited.total_seconds()

    def put_aside(self, ids: Sequence[int], *, error: str, seconds: float) -> None:
        """Keep events that can't be routed out of the way for a while, with the reason."""
        if ids:
            by_key.update(
                self.filter(pk__in=ids, relayed_at=None),
                available_at=after(seconds),
                error=storable(error, MAX_ERROR),
            )

    def retry_known(self, types: Iterable[str], *, within: float, limit: int) -> int:
        """Let up to `limit` events that were set aside go, because this code knows their types.

        Those whose time would come in `within` seconds: beyond the longest pause there is none
        among all that is scheduled. Inside a transaction.
        """
        rows = self.set_aside().filter(type__in=list(types), available_at__lte=after(within))
        ids = [row.pk for row in skip_locked(rows.only("id"))[:limit]]
        chosen = self.filter(pk__in=ids)
        return by_key.update(chosen, available_at=None, error="") if ids else 0

    def take_to_resend(self, pk: int, seen: datetime | None) -> bool:
        """Lock an event that was fanned out, to send it again; False if there is none.

        `seen`: its relayed_at as it was when somebody wished it, None for never. Who wished it
        twice finds another. Its retention begins anew: pruning, which looks at relayed_at, must not
        take it away.
        """
        if seen is None:
            return False
        # Not "=": SQLite compares texts, and those of a whole second may have no digits behind it.
        rows = self.filter(pk=pk, relayed_at__gte=seen, relayed_at__lt=seen + TICK)
        return bool(by_key.update(rows, relayed_at=DatabaseNow()))

    def finished_before(self, seconds: float) -> "OutboxQuerySet":
        """Events relayed longer ago, of which no delivery is unfinished or dead."""
        open_deliveries = Delivery.objects.using(self.db).filter(event_id=OuterRef("pk"))
        return self.filter(
            ~Exists(open_deliveries.exclude(status__in=FINISHED)), relayed_at__lt=after(-seconds)
        )

    def prune(self, *, seconds: float, after_id: int, limit: int) -> tuple[int, int]:
        """Delete what is finished among the next `limit` events; inside a transaction.

        But for events that somebody holds, or something that belongs to them: the next round finds
        those. Returns how many went, and the id to go on from: 0 when the rest is too young.
        Walking the primary key costs no index that every insert would have to pay for.
        """
        window = list(
            self.filter(pk__gt=after_id).order_by("pk").values_list("pk", flat=True)[:limit]
        )
        if not window:
            return 0, 0
        is_old = self.filter(pk=window[-1], time__lt=after(-seconds)).exists()
        rows = self.filter(pk__in=window).finished_before(seconds)
        found = [row.pk for row in skip_locked(rows.only("id"))]
        ids = pruning.lock_whole(self, found) if found else []
        if ids:
            pruning.delete_whole(self, ids)
        return len(ids), window[-1] if is_old and len(window) == limit else 0


class OutboxEvent(ParsedLate):
    """One event as it was published. Written once; only the relay's columns change."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True, editable=False)
    type = models.CharField(max_length=MAX_NAME)
    version = models.PositiveSmallIntegerField(default=1)
    source = models.CharField(max_length=MAX_NAME)
    key = models.CharField(max_length=MAX_NAME, blank=True, default="")
    data = models.JSONField(encoder=DjangoJSONEncoder)
    headers = models.JSONField(default=dict, blank=True)
    correlation_id = models.CharField(max_length=MAX_NAME)
    causation_id = models.UUIDField(null=True, blank=True)
    # Null unless given: null never equals null, so that only given keys are unique.
    idempotency_key = models.CharField(max_length=MAX_NAME, null=True, blank=True)  # noqa: DJ001
    time = models.DateTimeField()
    # Null for at once. The relay puts a time here, and the reason below, when it can't route.
    available_at = models.DateTimeField(null=True, blank=True)
    relayed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")

    objects: ClassVar[Any] = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        permissions = [
            ("resend_outboxevent", "Can send events again to chosen subscriptions"),
            ("edit_outboxevent", "Can publish edited copies of events"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["type", "idempotency_key"], name="eda_event_idempotency"
            ),
        ]
        indexes = [
            HotIndex(
                name="eda_event_fresh",
                fields=["id"],
                where=Q(relayed_at=None, available_at=None),
                plain_fields=("relayed_at", "available_at", "id"),
            ),
            HotIndex(
                name="eda_event_scheduled",
                fields=["available_at"],
                where=Q(relayed_at=None, available_at__isnull=False),
                plain_fields=("relayed_at", "available_at", "type"),
            ),
            models.Index(name="eda_event_correlation", fields=["correlation_id"]),
            # What an operator is called about is an order's number. Without a key nothing is paid.
            HotIndex(name="eda_event_key", fields=["key"], where=~Q(key=""), plain_fields=("key",)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    def envelope(self, data: Any, *, attempt: int = 0) -> Event[Any]:
        """Return the envelope for a subscriber, around the decoded payload."""
        return Event(
            data=data,
            id=self.event_id,
            type=self.type,
            version=self.version,
            source=self.source,
            time=self.time,
            key=self.key,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            headers=self.headers,
            attempt=attempt,
        )


spell(OutboxEvent, "key", SpelledExact)
