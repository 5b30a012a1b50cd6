"""Deliveries: one event for one subscriber, and every change of their state."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db import connections, models
from django.db.models import Case, F, Q, Value, When

from .. import chunks
from ..chunks import Chunk
from ..failures import Failure, storable
from .clock import DatabaseNow, after
from .indexes import HotIndex
from .locking import skip_locked

MAX_REASON = 2_000


class Status(models.TextChoices):
    """The life of a delivery."""

    # Ordered, and not the head of its key.
    WAITING = "waiting"
    # To be pushed when due_at has come.
    PENDING = "pending"
    # In Redis, or on the way there, under a lease.
    QUEUED = "queued"
    # Its subscriber was started; in atomic mode its row is locked as long as that runs.
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    # Out of attempts; kept until an operator acts.
    DEAD = "dead"
    # Dropped, by an operator or by the subscriber.
    DISCARDED = "discarded"


FINISHED = (Status.SUCCEEDED, Status.DISCARDED)
CLAIMED = (Status.QUEUED, Status.RUNNING)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The verbs, each guarded by state and token: whoever lost a claim changes nothing."""

    def due(self) -> "DeliveryQuerySet":
        """Deliveries that may be pushed now, the longest due first."""
        return self.filter(status=Status.PENDING, due_at__lte=DatabaseNow()).order_by("due_at")

    def dead(self) -> "DeliveryQuerySet":
        return self.filter(status=Status.DEAD)

    def unfinished(self) -> "DeliveryQuerySet":
        """Deliveries that will still be tried."""
        return self.exclude(status__in=(*FINISHED, Status.DEAD))

    def held(self, status: Status, token: UUID) -> "DeliveryQuerySet":
        """Deliveries in this state under this claim: the guard of every change below."""
        return self.filter(status=status, token=token)

    # The relay's verbs

    def create_queued(self, rows: Iterable["Delivery"], *, size: int, lease: float) -> list[Chunk]:
        """Insert new deliveries as already claimed: one row version where two would do no more."""
        made: list[Delivery] = []
        for token, part in chunks.cut(rows, size=size):
            for row in part:
                row.status, row.token, row.lease_until = Status.QUEUED, token, after(lease)
            made += part
        self.bulk_create(made)
        self._find_ids(made)
        return _as_chunks(made)

    def claim_due(self, limit: int, *, size: int, lease: float) -> list[Chunk]:
        """Claim up to `limit` due deliveries under new tokens; inside a transaction."""
        columns = ("id", "subscriber", "queue", "isolated")
        rows = list(skip_locked(self.due().only(*columns), self.model)[:limit])
        for token, part in chunks.cut(rows, size=size):
            for row in part:
                row.token = token
            self.filter(pk__in=[row.pk for row in part], status=Status.PENDING).update(
                status=Status.QUEUED, token=token, due_at=None, lease_until=after(lease)
            )
        return _as_chunks(rows)

    def release(self, token: UUID, ids: Sequence[int] | None = None) -> int:
        """Give back what was claimed and not started: due at once, no attempt is burned."""
        rows = self.held(Status.QUEUED, token)
        rows = rows if ids is None else rows.filter(pk__in=ids)
        return rows.update(**_pending(0))

    def put_aside(
        self, token: UUID, ids: Sequence[int], *, kind: str, reason: str, seconds: float
    ) -> int:
        """Give back for `seconds`, with the reason, what can't start here; no attempt burns."""
        return (
            self.held(Status.QUEUED, token)
            .filter(pk__in=ids)
            .update(**_pending(seconds), error_class=kind, error_text=storable(reason, MAX_REASON))
        )

    def retry_known(self, kind: str, subscribers: Iterable[str]) -> int:
        """Make due at once what was put aside for this kind of reason, for these subscribers."""
        return self.filter(
            status=Status.PENDING, error_class=kind, subscriber__in=list(subscribers)
        ).update(due_at=DatabaseNow())

    def lapsed_queued(self, limit: int) -> list["Delivery"]:
        """Claims whose lease is over and that no worker has started, as far as can be seen."""
        rows = self.filter(status=Status.QUEUED, lease_until__lte=DatabaseNow())
        return list(rows.only("id", "token", "queue").order_by("lease_until")[:limit])

    def lock_lapsed_running(self, limit: int) -> list["Delivery"]:
        """Lock started deliveries whose lease is over and whose worker holds no lock on them.

        A subscriber that is merely slow holds the lock, so it is passed over; inside a transaction.
        """
        rows = self.filter(status=Status.RUNNING, lease_until__lte=DatabaseNow())
        return list(skip_locked(rows.order_by("lease_until"), self.model)[:limit])

    def running_tokens(self) -> set[UUID]:
        """The claims under which a subscriber runs now: their workers are at work."""
        tokens = self.filter(status=Status.RUNNING).values_list("token", flat=True)
        return {token for token in tokens if token}

    def extend(self, tokens: Iterable[UUID], *, lease: float) -> int:
        """Renew the leases of claims that are still on their way."""
        return self.filter(
            status=Status.QUEUED, token__in=list(tokens), lease_until__lte=DatabaseNow()
        ).update(lease_until=after(lease))

    def requeue(self, tokens: Iterable[UUID]) -> int:
        """Take back claims that were lost on the way; no attempt is burned."""
        return self.filter(status=Status.QUEUED, token__in=list(tokens)).update(**_pending(0))

    # The consumer's verbs

    def start(self, pk: int, *, token: UUID, lease: float) -> bool:
        """Count an attempt and mark the delivery as running; False if it isn't ours any more."""
        return bool(self.held(Status.QUEUED, token).filter(pk=pk).update(**_started(lease)))

    def lock_running(self, pk: int, *, token: UUID) -> bool:
        """Lock the row for as long as the transaction lasts; False if it isn't ours any more."""
        rows = self.held(Status.RUNNING, token).filter(pk=pk).order_by()
        return rows.select_for_update().values_list("pk").first() is not None

    def settle(
        self, pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None, lease: float
    ) -> int:
        """End the attempt of `pk`, and in the same statement start `then`; returns rows changed.

        One statement, because a commit of its own for every attempt that starts would double
        what a delivery costs.
        """
        done = Q(pk=pk, status=Status.RUNNING, token=token)
        if then is None:
            return self.filter(done).update(**outcome)
        start = _started(lease)
        # Only the primary key in the conditions: MySQL assigns from left to right, and would
        # read the new status in the second assignment.
        changes = {
            name: Case(
                When(pk=pk, then=_value(outcome, name)), default=_value(start, name), output_field=f
            )
            for name, f in self._columns({*outcome, *start})
        }
        return self.filter(done | Q(pk=then, status=Status.QUEUED, token=token)).update(**changes)

    def _columns(self, names: Iterable[str]) -> "list[tuple[str, models.Field[Any, Any]]]":
        return [(name, self.model._meta.get_field(name)) for name in sorted(names)]

    def _find_ids(self, rows: list["Delivery"]) -> None:
        # MySQL (not MariaDB) does not return the ids of what it inserts.
        if not rows or connections[self.db].features.can_return_rows_from_bulk_insert:
            return
        found = self.filter(event_id__in={row.event_id for row in rows})
        ids = {(e, s): pk for pk, e, s in found.values_list("pk", "event_id", "subscriber")}
        for row in rows:
            row.pk = ids[row.event_id, row.subscriber]


class Delivery(models.Model):
    """One event for one subscriber."""

    id = models.BigAutoField(primary_key=True)
    # The unique constraint below begins with it: an index of its own would be a second one.
    event = models.ForeignKey(
        "eda_django.OutboxEvent",
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_index=False,
    )
    subscriber = models.CharField(max_length=255)
    queue = models.CharField(max_length=255)
    key = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True, editable=False)
    # Was running when its worker died: from then on it runs in a job of its own.
    isolated = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_class = models.CharField(max_length=255, blank=True, default="")
    error_text = models.TextField(blank=True, default="")
    fingerprint = models.CharField(max_length=32, blank=True, default="")

    objects: ClassVar[Any] = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "subscriber"], name="eda_delivery_event_subscriber"
            ),
        ]
        indexes = [
            HotIndex(
                name="eda_delivery_due",
                fields=["due_at"],
                where=Q(status=Status.PENDING),
                plain_fields=("status", "due_at"),
            ),
            HotIndex(
                name="eda_delivery_leased",
                fields=["status", "lease_until"],
                where=Q(status__in=CLAIMED),
                plain_fields=("status", "lease_until"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.pk}"

    @property
    def job_id(self) -> str:
        """The RQ job that carries, or last carried, this delivery; empty if none does."""
        return chunks.job_id(self.token) if self.token else ""


def succeeded() -> dict[str, Any]:
    return _ended(Status.SUCCEEDED)


def discarded(reason: str) -> dict[str, Any]:
    return _ended(Status.DISCARDED) | {"error_text": storable(reason, MAX_REASON)}


def dead(failure: Failure) -> dict[str, Any]:
    return _ended(Status.DEAD) | _error(failure)


def failed(failure: Failure, *, seconds: float, isolated: bool) -> dict[str, Any]:
    return _pending(seconds) | _error(failure) | {"isolated": isolated}


def deferred(reason: str, *, seconds: float, attempts: int) -> dict[str, Any]:
    """A return to the queue that gives the attempt back."""
    text = storable(reason, MAX_REASON)
    return _pending(seconds) | {"attempts": attempts - 1, "error_text": text}


def _ended(status: Status) -> dict[str, Any]:
    # The token stays: a second copy of the job can then tell that its delivery is settled.
    return {"status": status, "finished_at": DatabaseNow(), "lease_until": None}


def _pending(seconds: float) -> dict[str, Any]:
    return {
        "status": Status.PENDING,
        "due_at": after(seconds),
        "lease_until": None,
        "token": None,
    }


def _started(lease: float) -> dict[str, Any]:
    return {
        "status": Status.RUNNING,
        "attempts": F("attempts") + 1,
        "started_at": DatabaseNow(),
        "lease_until": after(lease),
    }


def _error(failure: Failure) -> dict[str, Any]:
    return {
        "error_class": failure.kind,
        "error_text": storable(failure.text, MAX_REASON),
        "fingerprint": failure.fingerprint,
    }


def _value(values: dict[str, Any], name: str) -> Any:
    if name not in values:
        return F(name)
    value = values[name]
    return value if hasattr(value, "resolve_expression") else Value(value)


def _as_chunks(rows: Iterable["Delivery"]) -> list[Chunk]:
    made: dict[UUID, list[Delivery]] = {}
    for row in rows:
        assert row.token is not None
        made.setdefault(row.token, []).append(row)
    return [
        Chunk(
            token=token,
            subscriber=part[0].subscriber,
            queue=part[0].queue,
            delivery_ids=tuple(row.pk for row in part),
        )
        for token, part in made.items()
    ]
