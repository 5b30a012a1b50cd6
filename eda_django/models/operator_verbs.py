"""The operators' verbs: what a person may do to deliveries, guarded by state like all others.

All of them lock what they change and pass over what somebody else has locked, so that nobody
waits for a subscriber that runs. Each must be called inside a transaction.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import models
from django.db.models import Q

from ..failures import storable
from . import by_key, outcomes
from .clock import DatabaseNow
from .delivery_insertion import NewDelivery, Row, insert_pending
from .locking import skip_locked
from .outcomes import MAX_REASON
from .status import FINISHED, Status

BY_OPERATOR = "eda_django.DiscardedByOperator"
# What waits for its next attempt after one that failed, or has had its last.
FAILING = Q(status=Status.DEAD) | Q(status=Status.PENDING, attempts__gt=0)
# Not what runs: its worker would find its work undone. A queued one finds its claim gone.
DISCARDABLE = (Status.PENDING, Status.QUEUED, Status.DEAD)

T = TypeVar("T", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How a delivery had ended that begins anew: the row keeps nothing of it."""

    subscriber: str
    status: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resent:
    """What became of a wish to send an event again, by subscriber."""

    again: tuple[Before, ...] = ()
    new: tuple[str, ...] = ()
    under_way: tuple[str, ...] = ()


class OperatorVerbs(models.QuerySet[T]):
    """Mixed into the QuerySet of deliveries."""

    def failing(self) -> Any:
        """Deliveries that are dead, or wait for another attempt after one that failed."""
        return self.filter(FAILING)

    def retry(self) -> list[int]:
        """Give dead deliveries all their attempts again, due at once; return which."""
        fresh = outcomes.pending(0) | {"attempts": 0, "finished_at": None}
        return self._set(self._locked(self, [Status.DEAD]), fresh)

    def retry_now(self) -> list[int]:
        """End the wait of deliveries that wait for their time; return which."""
        ids = self._locked(self.filter(due_at__gt=DatabaseNow()), [Status.PENDING])
        return self._set(ids, {"due_at": DatabaseNow()})

    def discard(self, reason: str) -> list[int]:
        """Drop deliveries that do not run, for a reason; return which."""
        dropped = {
            "status": Status.DISCARDED,
            "finished_at": DatabaseNow(),
            "due_at": None,
            "lease_until": None,
            "error_class": BY_OPERATOR,
            "error_text": storable(reason, MAX_REASON),
        }
        return self._set(self._locked(self, DISCARDABLE), dropped)

    def resend(self, event_id: int, queues: Mapping[str, str], *, key: str = "") -> Resent:
        """Send an event, whose row the caller has locked, to these subscribers once more.

        `queues` has the queue of each subscriber, `key` is the event's. What is finished or dead
        begins anew, what never was is made, what is under way is left alone.
        """
        mine = self.filter(event_id=event_id, subscriber__in=list(queues))
        names = dict(mine.values_list("pk", "subscriber"))
        ready = self._locked_rows(mine, (*FINISHED, Status.DEAD))
        anew = {row.pk for row in ready}
        begun = outcomes.pending(0) | {"attempts": 0, "finished_at": None, "started_at": None}
        by_key.update(self.filter(pk__in=anew), **begun)
        missing = [name for name in queues if name not in names.values()]
        self.create_pending(
            [
                NewDelivery(event_id=event_id, subscriber=name, queue=queues[name], key=key)
                for name in missing
            ],
            seconds=0,
        )
        return Resent(
            again=tuple(
                Before(subscriber=names[row.pk], status=row.status, finished_at=row.finished_at)
                for row in ready
            ),
            new=tuple(missing),
            under_way=tuple(name for pk, name in names.items() if pk not in anew),
        )

    def create_pending(self, rows: Iterable[Row], *, seconds: float) -> None:
        """Insert new deliveries that are to be claimed in so many seconds."""
        insert_pending(self.db, rows, seconds=seconds)

    def _set(self, ids: list[int], values: dict[str, Any]) -> list[int]:
        rows: Any = self.model._default_manager.using(self.db).filter(pk__in=ids)
        by_key.update(rows, **values)
        return ids

    def _locked(self, rows: Any, statuses: Collection[Status]) -> list[int]:
        """Lock those in these states; return their ids.

        InnoDB would lock, and wait for, whatever an UPDATE looks at.
        """
        return [row.pk for row in self._locked_rows(rows.only("pk"), statuses)]

    def _locked_rows(self, rows: Any, statuses: Collection[Status]) -> list[Any]:
        found: Iterable[Any] = skip_locked(rows.filter(status__in=statuses).order_by("pk"))
        return list(found)
