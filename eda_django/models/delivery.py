"""Deliveries: one event for one subscriber."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import chunks
from ..conf import MAX_NAME
from .indexes import HotIndex
from .operator_verbs import FAILING
from .spelled import SpelledAbove, SpelledExact, SpelledIn, spell
from .status import CLAIMED, Status
from .verbs import DeliveryQuerySet


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
    subscriber = models.CharField(max_length=MAX_NAME)
    queue = models.CharField(max_length=MAX_NAME)
    key = models.CharField(max_length=MAX_NAME, blank=True, default="")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True, editable=False)
    # Was running when its worker died: from then on it runs in a job of its own.
    isolated = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_class = models.CharField(max_length=MAX_NAME, blank=True, default="")
    error_text = models.TextField(blank=True, default="")
    fingerprint = models.CharField(max_length=32, blank=True, default="")

    # Seconds from fanning the event out to reading the row for a worker, by the database's clock.
    waited = 0.0

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
    def leased_until(self) -> datetime:
        """When the lease of the claim that the delivery is under ends."""
        assert self.lease_until is not None
        return self.lease_until

    @property
    def job_id(self) -> str:
        """The RQ job that carries, or last carried, this delivery; empty if none does."""
        return chunks.job_id(self.token) if self.token else ""


spell(Delivery, "status", SpelledExact, SpelledIn)
spell(Delivery, "attempts", SpelledAbove)
