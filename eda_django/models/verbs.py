"""The verbs of deliveries: every change of their state, but for what operators do."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .. import chunks
from ..chunks import Chunk
from ..failures import storable
from . import by_key, consumer_statements, outcomes, reading
from .claiming import claim
from .clock import DatabaseNow, after
from .delivery_insertion import Part, Row, insert_queued
from .locking import skip_locked
from .operator_verbs import OperatorVerbs
from .outcomes import MAX_REASON
from .status import FINISHED, Status

if TYPE_CHECKING:
    from .delivery import Delivery

# No database stores less of a time.
MOMENT = timedelta(microseconds=1)


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

    def create_queued(
        self, rows: Iterable[Row], *, size: int, lease: float, behind: Collection[str] = ()
    ) -> list[Chunk]:
        """Insert new deliveries as already claimed: one row version where two would do no more.

        In queues that are `behind` they are put into as few chunks as can be.
        """
        parts = list(chunks.cut(rows, size=size, behind=behind))
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
        self,
        limit: int,
        *,
        size: int,
        lease: float,
        queues: Mapping[str, str],
        behind: Collection[str] = (),
    ) -> list[Chunk]:
        """Claim up to `limit` due deliveries under new tokens; inside a transaction.

        `queues` tells where the running code has its subscribers: one may have moved since. In
        those that are `behind` they are put into as few chunks as can be.
        """
        columns = ("id", "subscriber", "queue", "isolated")
        rows = list(skip_locked(self.due().only(*columns))[:limit])
        for row in rows:
            row.queue = queues.get(row.subscriber, row.queue)
        parts = list(chunks.cut(rows, size=size, behind=behind))
        for token, part in parts:
            for row in part:
                row.token = token
        claim(self.db, parts, lease=lease)
        return _as_chunks(rows)

    def release(self, token: UUID, ids: Sequence[int]) -> int:
        """Give back what was claimed and not started: due at once, no attempt is burned."""
        rows = self.held(Status.QUEUED, token).filter(pk__in=ids)
        return by_key.update_free(rows, **outcomes.pending(0))

    def put_aside(
        self, token: UUID, ids: Sequence[int], *, kind: str, reason: str, seconds: float
    ) -> int:
        """Give back for `seconds`, with the reason, what can't start here; no attempt burns."""
        return by_key.update_free(
            self.held(Status.QUEUED, token).filter(pk__in=ids),
            **outcomes.pending(seconds),
            error_class=kind,
            error_text=storable(reason, MAX_REASON),
        )

    def retry_known(
        self, kind: str, subscribers: Iterable[str], *, within: float, limit: int
    ) -> int:
        """Make due at once up to `limit` that were put aside for this kind of reason.

        Those of these subscribers, due in `within` seconds: beyond the longest pause there is none
        among all that is tried again later. Inside a transaction.
        """
        rows = self.filter(
            status=Status.PENDING,
            error_class=kind,
            subscriber__in=list(subscribers),
            due_at__gt=DatabaseNow(),
            due_at__lte=after(within),
        )
        ids = [row.pk for row in skip_locked(rows.only("id"))[:limit]]
        return by_key.update(self.filter(pk__in=ids), due_at=DatabaseNow()) if ids else 0

    def lapsed_queued(self, limit: int, *, since: datetime | None = None) -> list["Delivery"]:
        """Claims whose lease is over and that no worker has started, as far as can be seen.

        The longest over first, of those whose lease ended at `since` or later. With the last of
        them come all whose lease ended in the same moment: `since` can tell no two of them apart.
        """
        rows = self.filter(status=Status.QUEUED, lease_until__lte=DatabaseNow())
        if since:
            rows = rows.filter(lease_until__gte=since)
        rows = rows.only("id", "token", "subscriber", "queue", "lease_until")
        rows = rows.order_by("lease_until")
        found = list(rows[:limit])
        if len(found) == limit:
            last = found[-1].leased_until
            # Not "= last": as a text of SQLite a whole second has no fraction.
            same = rows.filter(lease_until__gte=last, lease_until__lt=last + MOMENT)
            found = [row for row in found if row.leased_until < last] + list(same)
        return found

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

    def requeue(self, rows: Sequence["Delivery"]) -> int:
        """Take back claims lost on the way; inside a transaction. No attempt is burned.

        But for rows that a worker just starts or settles. To wait for those, with other rows
        locked, would be a deadlock as soon as the worker waits for one of the others. It would be
        undone, and its subscriber lose an attempt.
        """
        still = self.still_queued(rows)
        free = {row.pk for row in skip_locked(still.only("id"))}
        # Their ids only: for two lists of them PostgreSQL may rather read the whole table.
        locked = self.still_queued([row for row in rows if row.pk in free])
        return by_key.update(locked, **outcomes.pending(0))

    def still_queued(self, rows: Sequence["Delivery"]) -> "DeliveryQuerySet":
        """What is still under these claims, and not started."""
        # By primary key: no index knows the tokens, so that every row in the queues would be
        # read, and on InnoDB waited for, to find a few.
        return self.filter(
            pk__in=[row.pk for row in rows],
            status=Status.QUEUED,
            token__in={row.token for row in rows},
        )

    # The consumer's verbs

    def startable(self, ids: Sequence[int], *, token: UUID) -> list["Delivery"]:
        """Return what of a chunk still waits under its claim, with the events, in their order."""
        return reading.queued(self.model, self.db, ids, token=token)

    def start(self, pk: int, *, token: UUID, lease: float) -> bool:
        """Count an attempt and mark the delivery as running; False if it isn't ours any more."""
        return consumer_statements.start(self.db, pk, token=token, lease=lease)

    def lock_running(self, pk: int, *, token: UUID) -> bool:
        """Lock the row for as long as the transaction lasts; False if it isn't ours any more."""
        return consumer_statements.lock_running(self.db, pk, token=token)

    def settle(
        self, pk: int, outcome: dict[str, Any], *, token: UUID, then: int | None, lease: float
    ) -> int:
        """End the attempt of `pk`, and start `then`; returns rows changed.

        A success in one statement, because a commit of its own for every attempt that starts would
        double what a delivery costs. Any other outcome in two, inside a transaction.
        """
        if outcome["status"] == Status.SUCCEEDED:
            return consumer_statements.succeed(self.db, pk, token=token, then=then, lease=lease)
        changed = by_key.update(self.held(Status.RUNNING, token).filter(pk=pk), **outcome)
        return changed + (then is not None and self.start(then, token=token, lease=lease))

    def _find_ids(self, parts: Sequence[Part]) -> list[tuple[int, Any]]:
        events = {row.event_id for _, part in parts for row in part}
        return list(self.filter(event_id__in=events).values_list("pk", "token"))


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
