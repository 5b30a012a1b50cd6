"""Bulk operations: what an operator wants of every delivery that a filter matches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..conf import MAX_NAME
from .clock import DatabaseNow
from .delivery import Delivery
from .indexes import HotIndex
from .locking import skip_locked
from .operator_verbs import DISCARDABLE
from .selection import Selection
from .spelled import SpelledExact, spell
from .status import CLAIMED, OperationStatus, Status

# The most deliveries of a state among which are counted those that match; of more, the number is a
# lower bound. What matches may be few: to find them all could mean to read all that waits.
COUNTED = 10_000
# Numbers of deliveries that one step walks past, whether they match or not.
STRIDE = 20_000
_ANY = models.Q()


class Verb(models.TextChoices):
    RETRY = "retry", _("Retry")
    RETRY_NOW = "retry_now", _("Retry now")
    DISCARD = "discard", _("Discard")


# In which states a verb does something to a delivery.
STATES = {
    Verb.RETRY: (Status.DEAD,),
    Verb.RETRY_NOW: (Status.PENDING,),
    Verb.DISCARD: DISCARDABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """To how many deliveries a verb would be done, by state, and of which states to more."""

    counts: Mapping[str, int]
    partial: frozenset[str]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class OperationQuerySet(models.QuerySet["BulkOperation"]):
    """What operators and relays do with bulk operations."""

    def running(self) -> "OperationQuerySet":
        return self.filter(status=OperationStatus.RUNNING)

    def begin(self, verb: str, selection: Selection, *, operator: str, reason: str) -> Any:
        """Start an operation on what matches, and exists, now."""
        rows = Delivery.objects.using(self.db)
        ends = rows.aggregate(first=models.Min("pk"), last=models.Max("pk"))
        first, last = ends["first"] or 1, ends["last"] or 0
        return self.create(
            verb=verb,
            selection=selection.as_json(),
            operator=operator,
            reason=reason,
            first_id=first,
            next_id=first,
            last_id=last,
            created_at=DatabaseNow(),
        )

    def cancel(self, pk: int) -> bool:
        """Stop before the next batch; what was done stays done. False if it had ended already."""
        ended = {"status": OperationStatus.CANCELLED, "finished_at": DatabaseNow()}
        return bool(self.running().filter(pk=pk).update(**ended))

    def step(self, limit: int) -> "BulkOperation | None":
        """Do the next batch, of at most `limit` deliveries, of the oldest one, and return that.

        None if none runs. Inside a transaction. One that another relay has in hand is left to it,
        and to newer code one that this code can't read.
        """
        rows = skip_locked(self.running().order_by("pk"))
        operation = next((row for row in rows if row.is_readable), None)
        if operation:
            operation.advance(limit)
        return operation


class BulkOperation(models.Model):
    """A verb, the deliveries that it is for, and how far it has come."""

    id = models.BigAutoField(primary_key=True)
    verb = models.CharField(_("action"), max_length=20, choices=Verb)
    selection = models.JSONField(_("filter"))
    operator = models.CharField(_("operator"), max_length=MAX_NAME)
    reason = models.TextField(_("reason"), blank=True, default="")
    status = models.CharField(
        _("status"), max_length=10, choices=OperationStatus, default=OperationStatus.RUNNING
    )
    first_id = models.BigIntegerField()
    next_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    changed = models.PositiveBigIntegerField(_("changed"), default=0)
    # Matched the filter, and was not in a state that the verb is for, or was in other hands.
    passed_over = models.PositiveBigIntegerField(_("passed over"), default=0)
    created_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects: ClassVar[Any] = OperationQuerySet.as_manager()

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        default_permissions = ()
        indexes = [
            # Every look of every relay asks whether there is one.
            HotIndex(
                name="eda_operation_running",
                fields=["id"],
                where=models.Q(status=OperationStatus.RUNNING),
                plain_fields=("status",),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} {self.pk}"

    @property
    def is_done(self) -> bool:
        return self.status == OperationStatus.DONE

    @property
    def percent(self) -> int:
        """How much of the table was walked past, from 0 to 100."""
        if self.is_done:
            return 100
        whole = self.last_id - self.first_id + 1
        return min(99, 100 * (self.next_id - self.first_id) // whole) if whole > 0 else 0

    @property
    def is_readable(self) -> bool:
        """Whether this code knows the verb, and all parts of the filter; it may be newer code's.

        Read in part the filter would select too much.
        """
        return self.verb in Verb.values and Selection.can_read(self.selection)

    def left(self) -> Reach | None:
        """Return how many it could still be done to; of what was there at its beginning.

        Of one that is done, these are what it has passed over, and what has come into such a state
        since. None if this code can't tell.
        """
        if not self.is_readable:
            return None
        numbers = models.Q(pk__lte=self.last_id)
        if not self.is_done:
            numbers &= models.Q(pk__gte=self.next_id)
        rows = Delivery.objects.using(self._state.db)
        return within_reach(rows, Selection.of(self.selection), self.verb, numbers)

    def advance(self, limit: int) -> None:
        """Do one batch, and record how far that went."""
        rows = Delivery.objects.using(self._state.db)
        upto = min(self.next_id + STRIDE - 1, self.last_id)
        wanted = Selection.of(self.selection).among(rows).order_by("pk")
        ids = list(
            wanted.filter(pk__gte=self.next_id, pk__lte=upto).values_list("pk", flat=True)[:limit]
        )
        changed = len(act(rows.filter(pk__in=ids), self.verb, self.reason)) if ids else 0
        self.next_id = (ids[-1] if len(ids) == limit else upto) + 1
        self.changed += changed
        self.passed_over += len(ids) - changed
        if self.next_id > self.last_id:
            self.status, self.finished_at = OperationStatus.DONE, DatabaseNow()
        self.save()


def within_reach(
    deliveries: Any, selection: Selection, verb: str, numbers: models.Q = _ANY
) -> Reach:
    """Return to how many of the deliveries that are meant, and have such numbers, it would be done.

    State by state, because each has an index over few rows, however many others there are.
    """
    # Its search asks for the numbers of events: once, and not for each state.
    indexed = selection.indexed_in(deliveries)
    if verb == Verb.RETRY_NOW:
        indexed = indexed.filter(due_at__gt=DatabaseNow())
    counts, partial = dict[str, int](), set[str]()
    for status in STATES[Verb(verb)]:
        rows = indexed.filter(status=status)
        if status in CLAIMED:
            rows = rows.filter(lease_until__isnull=False)
        looked_at, found = _count(rows, models.Q(status=status) & selection.rest & numbers)
        if looked_at >= COUNTED:
            partial.add(status.value)
        if found or looked_at >= COUNTED:
            counts[status.value] = found
    return Reach(counts=counts, partial=frozenset(partial))


def _count(rows: Any, wanted: models.Q) -> tuple[int, int]:
    """Return how many rows were looked at, of COUNTED at most, and how many of these are wanted."""
    found = rows.order_by()[:COUNTED].aggregate(
        looked_at=models.Count("pk"), found=models.Count("pk", filter=wanted)
    )
    return found["looked_at"], found["found"]


def act(deliveries: Any, verb: str, reason: str) -> list[int]:
    """Do to deliveries what the verb says; return to which it was done; in a transaction.

    Raises ValueError for a verb that this code does not know.
    """
    acts: dict[Verb, Callable[[], list[int]]] = {
        Verb.RETRY: deliveries.retry,
        Verb.RETRY_NOW: deliveries.retry_now,
        Verb.DISCARD: lambda: deliveries.discard(reason),
    }
    return acts[Verb(verb)]()


spell(BulkOperation, "status", SpelledExact)
