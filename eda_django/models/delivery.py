"""Deliveries: one event for one subscriber, and every change of their state."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import chunks
from ..chunks import Chunk
from ..failures import storable
from . import outcomes, steps
from .clock import DatabaseNow, after
from .indexes import HotIndex
from .insertion import Part, Row, insert_queued
from .locking import skip_locked
from .operating import FAILING, OperatorVerbs
from .outcomes import MAX_REASON
from .status import CLAIMED, FINISHED, Status


class DeliveryQuerySet(OperatorVerbs["Delivery"]):
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

    def create_queued(self, rows: Iterable[Row], *, size: int, lease: float) -> list[Chunk]:
        """Insert new deliveries as already claimed: one row version where two would do no more."""
        parts = list(chunks.cut(rows, size=size))
        if not parts:
            return []
        found = insert_queued(self.db, parts, lease=lease)
        ids: dict[str, list[int]] = defaultdict(list)
        for pk, token in self._find_ids(parts) if found is None else found:
            # A UUID, or a text with or without dashes.
            ids[str(token).replace("-", "")].append(pk)
        return [
            Chunk(
                token=token,
                subscriber=part[0].subscriber,
                queue=part[0].queue,
                delivery_ids=tuple(sorted(ids[token.hex])),
            )
            for token, part in parts
        ]

    def claim_due(
        self, limit: int, *, size: int, lease: float, queues: Mapping[str, str]
    ) -> list[Chunk]:
        """Claim up to `limit` due deliveries under new tokens; inside a transaction.

        `queues` tells where the running code has its subscribers: one may have moved since.
        """
        columns = ("id", "subscriber", "queue", "isolated")
        rows = list(skip_locked(self.due().only(*columns))[:limit])
        for row in rows:
            row.queue = queues.get(row.subscriber, row.queue)
        for token, part in chunks.cut(rows, size=size):
            for row in part:
                row.token = token
            self.filter(pk__in=[row.pk for row in part], status=Status.PENDING).update(
                status=Status.QUEUED,
                token=token,
                queue=part[0].queue,
                due_at=None,
                lease_until=after(lease),
            )
        return _as_chunks(rows)

    def release(self, token: UUID, ids: Sequence[int]) -> int:
        """Give back what was claimed and not started: due at once, no attempt is burned."""
        return self.held(Status.QUEUED, token).filter(pk__in=ids).update(**outcomes.pending(0))

    def put_aside(
        self, token: UUID, ids: Sequence[int], *, kind: str, reason: str, seconds: float
    ) -> int:
        """Give back for `seconds`, with the reason, what can't start here; no attempt burns."""
        return (
            self.held(Status.QUEUED, token)
            .filter(pk__in=ids)
            .update(
                **outcomes.pending(seconds),
                error_class=kind,
                error_text=storable(reason, MAX_REASON),
            )
        )

    def retry_known(self, kind: str, subscribers: Iterable[str], *, limit: int) -> int:
        """Make due at once up to `limit` that were put aside for this kind of reason.

        Those of these subscribers; inside a transaction.
        """
        rows = self.filter(
            status=Status.PENDING,
            error_class=kind,
            subscriber__in=list(subscribers),
            due_at__gt=DatabaseNow(),
        )
        ids = [row.pk for row in skip_locked(rows.only("id"))[:limit]]
        return self.filter(pk__in=ids).update(due_at=DatabaseNow()) if ids else 0

    def lapsed_queued(self, limit: int) -> list["Delivery"]:
        """Claims whose lease is over and that no worker has started, as far as can be seen."""
        rows = self.filter(status=Status.QUEUED, lease_until__lte=DatabaseNow())
        return list(rows.only("id", "token", "queue").order_by("lease_until")[:limit])

    def lock_lapsed_running(self, limit: int) -> list["Delivery"]:
        """Lock started deliveries whose lease is over and whose worker holds no lock on them.

        A subscriber that is merely slow holds the lock, so it is passed over; inside a transaction.
        """
        rows = self.filter(status=Status.RUNNING, lease_until__lte=DatabaseNow())
        return list(skip_locked(rows.order_by("lease_until"))[:limit])

    def running_tokens(self) -> set[UUID]:
        """The claims under which a subscriber runs now: their workers are at work."""
        rows = self.filter(status=Status.RUNNING, lease_until__isnull=False)
        return {token for token in rows.values_list("token", flat=True) if token}

    def queued_under(self, tokens: Iterable[UUID]) -> list["Delivery"]:
        """What of these claims no worker has started."""
        rows = self.filter(status=Status.QUEUED, lease_until__isnull=False, token__in=list(tokens))
        return list(rows.only("id", "token"))

    def extend(self, rows: Sequence["Delivery"], *, lease: float) -> int:
        """Renew the leases of claims that are still on their way; inside a transaction."""
        return self._lock_still_queued(rows).update(lease_until=after(lease))

    def requeue(self, rows: Sequence["Delivery"]) -> int:
        """Take back claims lost on the way; inside a transaction. No attempt is burned."""
        return self._lock_still_queued(rows).update(**outcomes.pending(0))

    def _lock_still_queued(self, rows: Sequence["Delivery"]) -> "DeliveryQuerySet":
        """Lock what is still under these claims, but for rows that a worker just starts or settles.

        To wait for those, with other rows locked, would be a deadlock as soon as the worker waits
        for one of the others. It would be undone, and its subscriber lose an attempt.
        """
        # By primary key: no index knows the tokens, so that every row in the queues would be
        # read, and on InnoDB waited for, to find a few.
        still = self.filter(
            pk__in=[row.pk for row in rows],
            status=Status.QUEUED,
            token__in={row.token for row in rows},
        )
        return still.filter(pk__in=[row.pk for row in skip_locked(still.only("id"))])

    # The consumer's verbs

    def start(self, pk: int, *, token: UUID, lease: float) -> bool:
        """Count an attempt and mark the delivery as running; False if it isn't ours any more."""
        return bool(self.held(Status.QUEUED, token).filter(pk=pk).update(**outcomes.started(lease)))

    def lock_running(self, pk: int, *, token: UUID) -> bool:
        """Lock the row for as long as the transaction lasts; False if it isn't ours any more."""
        return steps.lock_running(self.db, pk, token=token)

    def settle(
        self, pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None, lease: float
    ) -> int:
        """End the attempt of `pk`, and start `then`; returns rows changed.

        A success in one statement, because a commit of its own for every attempt that starts would
        double what a delivery costs. Any other outcome in two, inside a transaction.
        """
        if outcome["status"] == Status.SUCCEEDED:
            return steps.succeed(self.db, pk, token=token, then=then, lease=lease)
        changed = self.held(Status.RUNNING, token).filter(pk=pk).update(**outcome)
        return changed + (then is not None and self.start(then, token=token, lease=lease))

    def _find_ids(self, parts: Sequence[Part]) -> list[tuple[int, Any]]:
        events = {row.event_id for _, part in parts for row in part}
        return list(self.filter(event_id__in=events).values_list("pk", "token"))


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
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        permissions = [
            ("retry_delivery", "Can give dead deliveries new attempts"),
            ("retry_delivery_now", "Can end the wait of deliveries"),
            ("discard_delivery", "Can discard deliveries"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event", "subscriber"], name="eda_delivery_event_subscriber"
            ),
            # Without these a row would wait for ever, seen by nobody.
            models.CheckConstraint(
                condition=~Q(status=Status.PENDING) | Q(due_at__isnull=False),
                name="eda_delivery_pending_is_due",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=CLAIMED)
                | Q(lease_until__isnull=False, token__isnull=False),
                name="eda_delivery_claim_ends",
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
                # Every claim has one, and nothing else. SQLite would not see that a status is one
                # of two.
                where=Q(lease_until__isnull=False),
                plain_fields=("status", "lease_until"),
            ),
            # Who failed of what, with all that is asked of it: they lie far apart in the table.
            # MySQL finds them by the status in the indexes above.
            models.Index(
                name="eda_delivery_failing",
                fields=[
                    "status",
                    "subscriber",
                    "fingerprint",
                    "started_at",
                    "attempts",
                    "event",
                    "id",
                ],
                condition=FAILING,
            ),
            HotIndex(
                name="eda_delivery_finished",
                fields=["subscriber", "finished_at"],
                where=Q(finished_at__isnull=False),
                plain_fields=("subscriber", "finished_at"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.pk}"

    @property
    def claim(self) -> UUID:
        """The token of the claim that the delivery is under."""
        assert self.token is not None
        return self.token

    @property
    def job_id(self) -> str:
        """The RQ job that carries, or last carried, this delivery; empty if none does."""
        return chunks.job_id(self.token) if self.token else ""


def _as_chunks(rows: Iterable["Delivery"]) -> list[Chunk]:
    made: dict[UUID, list[Delivery]] = {}
    for row in rows:
        made.setdefault(row.claim, []).append(row)
    return [
        Chunk(
            token=token,
            subscriber=part[0].subscriber,
            queue=part[0].queue,
            delivery_ids=tuple(row.pk for row in part),
        )
        for token, part in made.items()
    ]
