"""Which finished events can be deleted without waiting for anybody, and how that is done."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import connections

from . import by_key
from .attempt import Attempt
from .delivery import Delivery
from .locking import skip_locked

# The index is named, because it is its entries that are in question. Type by type: a list of types
# beside one of keys would be every pair of them.
_LOCK_KEYS = """
SELECT id FROM eda_django_outboxevent FORCE INDEX (eda_event_idempotency)
WHERE ({pairs}) AND id IN %s
FOR UPDATE SKIP LOCKED
"""
_PAIRS = "type = %s AND idempotency_key IN %s"


def lock_whole(events: Any, ids: Sequence[int]) -> list[int]:
    """Lock what belongs to these events, which are locked; return those of which nobody holds any.

    Whoever waits for one lock and holds another can be a deadlock, and the database may choose the
    other one, a publisher perhaps, to pay for it. Inside a transaction.
    """
    held = _with_held_deliveries(events.db, ids)
    if connections[events.db].vendor == "mysql":
        held |= _with_held_keys(events.filter(pk__in=set(ids) - held))
    return [pk for pk in ids if pk not in held]


def delete_whole(events: Any, ids: Sequence[int]) -> None:
    """Delete these events with all that belongs to them, what refers to others first."""
    by_key.delete(Attempt.objects.using(events.db).filter(delivery__event_id__in=ids))
    by_key.delete(Delivery.objects.using(events.db).filter(event_id__in=ids))
    by_key.delete(events.filter(pk__in=ids))


def _with_held_deliveries(using: str, ids: Sequence[int]) -> set[int]:
    rows = Delivery.objects.using(using).filter(event_id__in=ids)
    free = {row.pk for row in skip_locked(rows.only("id"))}
    return {event for pk, event in rows.values_list("pk", "event_id") if pk not in free}


def _with_held_keys(events: Any) -> set[int]:
    """Return those of which InnoDB has locked the idempotency key's entry alone, for somebody.

    It does that for a publisher who has come upon an event that has the same key, until the
    publisher's transaction ends.
    """
    keyed = events.exclude(idempotency_key=None)
    ids, keys = set[int](), defaultdict[str, set[str]](set)
    for pk, type_, key in keyed.values_list("pk", "type", "idempotency_key"):
        ids.add(pk)
        keys[type_].add(key)
    if not ids:
        return ids
    pairs = " OR ".join([_PAIRS] * len(keys))
    params = [value for type_, some in keys.items() for value in (type_, tuple(some))]
    sql = _LOCK_KEYS.strip().format(pairs=pairs)
    with connections[events.db].cursor() as cursor:
        cursor.execute(sql, [*params, tuple(ids)])
        return ids - {pk for (pk,) in cursor.fetchall()}
