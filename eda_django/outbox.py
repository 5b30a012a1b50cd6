"""publish(): rows in the caller's transaction, and one ring of the doorbell after it commits."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sized
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import (
    DEFAULT_DB_ALIAS,
    IntegrityError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from . import conf, payloads, signals
from .events import Event, EventType, current_event, uuid7
from .exceptions import InvalidEvent, NotInTransaction, UndecodablePayload, UnknownDatabase
from .publish_arguments import MISSING, checked_headers, is_pair, named, resolve, several

if TYPE_CHECKING:
    from .models import NewEvent, OutboxEvent


def publish(
    event: Any,
    payload: Any = MISSING,
    *,
    key: object = None,
    headers: Mapping[str, Any] | None = None,
    correlation_id: str | UUID | None = None,
    idempotency_key: object = None,
    using: str | None = None,
) -> Event[Any]:
    """Write one event into the outbox, in the transaction that is open; return its envelope.

    `event` is a payload of a declared class, or an event's class or name followed by the
    payload. `key` (a text, whole number or UUID) tells which events belong together. A second
    publish of the same event type with the same `idempotency_key` (the same kinds) inserts
    nothing and returns the first event, as long as that one is kept (see RETENTION). `using`
    names the database.

    Costs one INSERT; with an idempotency key, one in a savepoint. Raises NotInTransaction outside
    atomic(), InvalidEvent if name, payload or options are wrong, UnknownDatabase for an alias
    that is not in DATABASES.
    """
    declared, payload = resolve(event, payload)
    connection = _in_transaction(using, "publish()", declared.name)
    options = _Options(headers, correlation_id)
    new = _prepare(declared, payload, options, key=key, idempotency_key=idempotency_key)
    if new.idempotency_key is None:
        _models().insert_events(connection, [new])
    elif first := _insert_once(new, connection):
        return _envelope_of(first, declared)
    _ring_after_commit(connection)
    return new.envelope


def publish_many(
    events: Iterable[Any],
    *,
    key: Callable[[Any], object] | None = None,
    headers: Mapping[str, Any] | None = None,
    correlation_id: str | UUID | None = None,
    using: str | None = None,
) -> list[Event[Any]]:
    """Write many events with one INSERT; return their envelopes in the same order.

    Each item is a payload of a declared class, or a pair of an event's class or name and the
    payload. `key` is called with each payload. Raises what publish() raises, and then publishes
    none of them.
    """
    if key is not None and not callable(key):
        raise InvalidEvent(
            f"publish_many() needs a function as key, which gets each payload and returns its "
            f"key, not {payloads.described(key)}."
        )
    connection = _in_transaction(using, "publish_many()")
    options = _Options(headers, correlation_id)
    new = []
    for number, item in enumerate(several(events)):
        try:
            declared, payload = resolve(*item) if is_pair(item) else resolve(item, MISSING)
            own_key = key(payload) if key else None
            new.append(_prepare(declared, payload, options, key=own_key))
        except InvalidEvent as error:
            if not (isinstance(events, Sized) and len(events) == 1):
                error.add_note(
                    f"It is number {number} of what is published together, counted from 0."
                )
            raise
    if new:
        _models().insert_events(connection, new)
        _ring_after_commit(connection)
    return [event.envelope for event in new]


async def apublish(event: Any, payload: Any = MISSING, **options: Any) -> Event[Any]:
    """Publish from async code, in a transaction of its own; return the envelope.

    The event is committed when this returns, whatever happens to other writes: Django has no
    async transactions to join. But where sync code is in one while it waits for this, as around
    an async subscriber with `atomic`, the event joins that one. To publish together with a
    change elsewhere, put both into a sync function with @publishes and call it through
    `asgiref.sync.sync_to_async`. Takes the options of publish() and raises what it raises.
    """
    return await sync_to_async(_publish_alone)(event, payload, **options)


def _publish_alone(event: Any, payload: Any, **options: Any) -> Event[Any]:
    with transaction.atomic(using=database(options.get("using"))):
        return publish(event, payload, **options)


class _Options:
    """What all events of one call share, checked."""

    __slots__ = ("causation_id", "correlation_id", "headers", "source")

    def __init__(self, headers: Mapping[str, Any] | None, correlation_id: object) -> None:
        cause = current_event.get()
        self.headers = checked_headers(headers)
        self.correlation_id = named("correlation_id", correlation_id) or (
            cause.correlation_id if cause else None
        )
        self.causation_id = cause.id if cause else None
        self.source: str = conf.get("SOURCE")


def _prepare(
    declared: EventType,
    payload: Any,
    options: _Options,
    *,
    key: object = None,
    idempotency_key: object = None,
) -> "NewEvent":
    value, text = payloads.encode(declared, payload)
    event_id = uuid7()
    envelope = Event(
        data=value,
        id=event_id,
        type=declared.name,
        version=declared.version,
        source=options.source,
        time=timezone.now(),
        key=named("key", key) or "",
        correlation_id=options.correlation_id or str(event_id),
        causation_id=options.causation_id,
        headers=options.headers,
    )
    once = named("idempotency_key", idempotency_key)
    new: NewEvent = _models().NewEvent(envelope, text, once)
    return new


def _insert_once(new: "NewEvent", connection: BaseDatabaseWrapper) -> "OutboxEvent | None":
    """Insert the event, or return the one that has its idempotency key already."""
    try:
        with transaction.atomic(using=connection.alias):
            _models().insert_events(connection, [new])
    except IntegrityError as error:
        return _in_the_way(new, connection.alias, error)
    return None


def _in_the_way(new: "NewEvent", alias: str, error: IntegrityError) -> "OutboxEvent":
    name, once = new.envelope.type, new.idempotency_key
    same = _models().OutboxEvent.objects.using(alias).filter(type=name, idempotency_key=once)
    # Not locked if it can be helped: relays pass over a locked event, which would then wait for
    # this transaction. MySQL's REPEATABLE READ needs the lock: it reads as of its start without.
    first: OutboxEvent | None = same.first() or same.select_for_update().first()
    if first is None and "idempotency" in str(error):
        raise OperationalError(
            f"Event {name!r}: idempotency_key={once!r} was taken after this "
            f"transaction began, and its isolation level hides by which event. Run it again."
        ) from error
    if first is None:
        raise error
    if (first.type, first.idempotency_key) != (name, once):
        # MySQL's usual collations take "a" and "A" for one key.
        raise InvalidEvent(
            f"Event {name!r}: idempotency_key={once!r} is to this database "
            f"the same as {first.idempotency_key!r}, which is taken; use another spelling."
        ) from None
    return first


def _envelope_of(first: "OutboxEvent", declared: EventType) -> Event[Any]:
    try:
        data = payloads.decode(declared, version=first.version, tree=first.data)
    except UndecodablePayload:
        # Newer code published it, in a rolling deploy. That is no reason to fail the caller.
        data = first.data
    return first.envelope(data)


@cache
def _models() -> ModuleType:
    # Late: `import eda_django` must not load models, Django would stop with AppRegistryNotReady.
    from . import models

    return models


def database(using: str | None) -> str:
    """Return the alias that an outbox row goes to. Raises UnknownDatabase if there is none."""
    if using is None:
        using = router.db_for_write(_models().OutboxEvent) or DEFAULT_DB_ALIAS
    return known_database(using)


def known_database(alias: str) -> str:
    """Return the alias. Raises UnknownDatabase if it is not in DATABASES."""
    if not isinstance(alias, str) or alias not in connections.settings:
        raise UnknownDatabase(
            f"There is no database {alias!r}: name one that DATABASES has "
            f"({', '.join(map(repr, connections))}), or add it there."
        )
    return alias


def _in_transaction(using: str | None, call: str, event: str = "") -> BaseDatabaseWrapper:
    """Return the connection to write with. Raises NotInTransaction if none is open there."""
    alias = database(using)
    connection: BaseDatabaseWrapper = connections[alias]
    if not _is_in_transaction(connection) and conf.get("REQUIRE_ATOMIC"):
        what = f"{call} of event {event!r}" if event else call
        raise NotInTransaction(
            f"{what} was called outside a transaction on database {alias!r}, so what it publishes "
            f"could exist without the change it tells of. {_way_into_transaction(alias, call)}"
        )
    return connection


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction is open that would be open without a test around it, too.

    Django tells its TestCase's transactions apart in this way for `durable`.
    """
    blocks = connection.atomic_blocks
    is_tests = bool(blocks) and getattr(blocks[-1], "_from_testcase", False)
    return connection.in_atomic_block and not is_tests


def _way_into_transaction(alias: str, call: str) -> str:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return (
            f"Call it inside transaction.atomic(using={alias!r}), or decorate the function with "
            f"@publishes."
        )
    if call == "publish()":
        return "In async code, await apublish()."
    # apublish() takes one event, and several calls of it are several transactions.
    return (
        f"In async code, call it inside transaction.atomic(using={alias!r}) in a sync function, "
        f"and await sync_to_async(function)()."
    )


def _ring_after_commit(connection: BaseDatabaseWrapper) -> None:
    """Ring once a transaction, however many events it publishes.

    Scanning what is registered is exact where a flag would not be: Django drops the callbacks
    of a savepoint that is rolled back.
    """
    ring = signals.ring(connection.alias)
    if not (connection.in_atomic_block or connection.get_autocommit()):
        # A transaction that Django doesn't manage has no hooks; the relay polls anyway.
        return
    if not any(entry[1] is ring for entry in connection.run_on_commit):
        connection.on_commit(ring, robust=True)
