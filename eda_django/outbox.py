"""publish(): rows in the caller's transaction, and one ring of the doorbell after it commits."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, router, transaction
from django.utils import timezone

from . import conf, payloads, signals
from .events import Event, EventType, check_name, current_event, types, uuid7
from .exceptions import InvalidEvent, NotInTransaction, UnknownDatabase

if TYPE_CHECKING:
    from .models import OutboxEvent

MISSING: Any = object()
MAX_TEXT = 255


def publish(
    event: Any,
    payload: Any = MISSING,
    *,
    key: object = None,
    headers: Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    using: str | None = None,
) -> Event[Any]:
    """Write one event into the outbox, in the transaction that is open; return its envelope.

    `event` is a payload of a declared class, or an event's class or name followed by the
    payload. `key` (a text, number or UUID) tells which events belong together. A second
    publish of the same event type with the same `idempotency_key` inserts nothing and returns
    the first event, as long as that one is kept (see RETENTION). `using` names the database.

    Costs one INSERT. Raises NotInTransaction outside atomic(), InvalidEvent if name, payload or
    options are wrong, UnknownDatabase for an alias that is not in DATABASES.
    """
    declared, payload = _resolve(event, payload)
    alias = _database_in_transaction(using)
    row, envelope = _prepare(
        declared, payload, _Options(key, headers, correlation_id, idempotency_key)
    )
    if idempotency_key is None:
        type(row).objects.using(alias).bulk_create([row])
    elif first := _insert_once(row, alias):
        return first.envelope(payloads.decode(declared, version=first.version, tree=first.data))
    _ring_after_commit(alias)
    return envelope


def publish_many(
    events: Iterable[Any],
    *,
    key: Callable[[Any], object] | None = None,
    headers: Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
    using: str | None = None,
) -> list[Event[Any]]:
    """Write many events with one INSERT; return their envelopes in the same order.

    Each item is a payload of a declared class, or a pair of an event's class or name and the
    payload. `key` is called with each payload. Raises what publish() raises, and then publishes
    none of them.
    """
    alias = _database_in_transaction(using)
    prepared = []
    for item in events:
        declared, payload = _resolve(*item) if _is_pair(item) else _resolve(item, MISSING)
        options = _Options(key(payload) if key else None, headers, correlation_id, None)
        prepared.append(_prepare(declared, payload, options))
    if prepared:
        rows = [row for row, _ in prepared]
        type(rows[0]).objects.using(alias).bulk_create(rows)
        _ring_after_commit(alias)
    return [envelope for _, envelope in prepared]


async def apublish(event: Any, payload: Any = MISSING, **options: Any) -> Event[Any]:
    """Publish from async code, in a transaction of its own; return the envelope.

    Django has no async transactions, so this can't join one: the event is committed when this
    returns, whatever happens to other writes. To publish together with a change, put both into
    a sync function with @publishes and call it through `asgiref.sync.sync_to_async`. Takes the
    options of publish() and raises what it raises.
    """
    return await sync_to_async(_publish_alone)(event, payload, **options)


def _publish_alone(event: Any, payload: Any, **options: Any) -> Event[Any]:
    with transaction.atomic(using=database(options.get("using"))):
        return publish(event, payload, **options)


class _Options:
    """The options of one publish, checked."""

    __slots__ = ("correlation_id", "headers", "idempotency_key", "key")

    def __init__(
        self, key: object, headers: Mapping[str, Any] | None, correlation: object, once: object
    ) -> None:
        self.key = "" if key is None else _checked("key", _as_key(key))
        self.headers = _checked_headers(headers)
        self.correlation_id = None if correlation is None else _named("correlation_id", correlation)
        self.idempotency_key = None if once is None else _named("idempotency_key", once)


def _resolve(event: Any, payload: Any = MISSING) -> tuple[EventType, Any]:
    if isinstance(event, str):
        declared = types.get(check_name(event)) or EventType(name=event)
    elif isinstance(event, type):
        declared = _declared(event)
    else:
        if payload is not MISSING:
            raise InvalidEvent(
                f"publish() got a payload of type {type(event).__qualname__} and a second payload: "
                f"give the event's class or name first, then its payload."
            )
        return _declared(type(event)), event
    if payload is MISSING:
        raise InvalidEvent(f"Event {declared.name!r} needs a payload: publish(name, payload).")
    return declared, payload


def _declared(payload_class: type) -> EventType:
    declared = types.of_class(payload_class)
    if declared is None:
        raise InvalidEvent(
            f"{payload_class.__qualname__} is not declared as an event: decorate it with "
            f'@event("app.what_happened"), or publish a name and a dict.'
        )
    return declared


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | type)


def _prepare(
    declared: EventType, payload: Any, options: _Options
) -> "tuple[OutboxEvent, Event[Any]]":
    # The one late import: `import eda_django` must not load models, Django would stop with
    # AppRegistryNotReady.
    from .models import OutboxEvent

    value, tree = payloads.encode(declared, payload)
    cause = current_event.get()
    event_id = uuid7()
    envelope = Event(
        data=value,
        id=event_id,
        type=declared.name,
        version=declared.version,
        source=conf.get("SOURCE"),
        time=timezone.now(),
        key=options.key,
        correlation_id=options.correlation_id or (cause.correlation_id if cause else str(event_id)),
        causation_id=cause.id if cause else None,
        headers=options.headers,
    )
    return OutboxEvent.of(envelope, tree=tree, idempotency_key=options.idempotency_key), envelope


def _insert_once(row: "OutboxEvent", alias: str) -> "OutboxEvent | None":
    """Insert the row, or return the one that has its idempotency key already."""
    model = type(row)
    try:
        with transaction.atomic(using=alias):
            model.objects.using(alias).bulk_create([row])
    except IntegrityError:
        # A locking read: under REPEATABLE READ a plain one would not see what was committed
        # since this transaction began, not even the row that was in the way.
        same = model.objects.using(alias).filter(type=row.type, idempotency_key=row.idempotency_key)
        first: OutboxEvent | None = same.select_for_update().first()
        if first is None:
            raise
        if (first.type, first.idempotency_key) != (row.type, row.idempotency_key):
            # MySQL's usual collations take "a" and "A" for one key.
            raise InvalidEvent(
                f"Event {row.type!r}: idempotency_key={row.idempotency_key!r} is to this database "
                f"the same as {first.idempotency_key!r}, which is taken; use another spelling."
            ) from None
        return first
    return None


def database(using: str | None) -> str:
    """Return the alias that an outbox row goes to. Raises UnknownDatabase if there is none."""
    from .models import OutboxEvent

    alias = using or router.db_for_write(OutboxEvent) or DEFAULT_DB_ALIAS
    if alias not in list(connections):
        raise UnknownDatabase(
            f"There is no database {using!r}, DATABASES has {', '.join(map(repr, connections))}."
        )
    return alias


def _database_in_transaction(using: str | None) -> str:
    alias = database(using)
    if not connections[alias].in_atomic_block and conf.get("REQUIRE_ATOMIC"):
        raise NotInTransaction(
            f"publish() was called outside a transaction on database {alias!r}, so the event "
            f"could exist without the change it tells of. Call it inside "
            f"transaction.atomic(using={alias!r}), or decorate the function with @publishes."
        )
    return alias


def _ring_after_commit(alias: str) -> None:
    """Ring once a transaction, however many events it publishes.

    Scanning what is registered is exact where a flag would not be: Django drops the callbacks
    of a savepoint that is rolled back.
    """
    ring = _ring(alias)
    if not any(entry[1] is ring for entry in connections[alias].run_on_commit):
        transaction.on_commit(ring, using=alias, robust=True)


@cache
def _ring(alias: str) -> Callable[[], Any]:
    return partial(signals.events_committed.send_robust, sender=None, using=alias)


def _as_key(key: object) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int | UUID):
        raise InvalidEvent(f"key={key!r} must be a text, a whole number or a UUID.")
    return str(key)


def _named(option: str, value: object) -> str:
    text = _checked(option, str(value) if isinstance(value, UUID) else value)
    if not text:
        raise InvalidEvent(f"{option}={value!r} must not be empty; leave it out instead.")
    return text


def _checked(option: str, text: object) -> str:
    if not isinstance(text, str):
        raise InvalidEvent(f"{option}={text!r} must be a text.")
    if len(text) > MAX_TEXT:
        raise InvalidEvent(f"{option} may have {MAX_TEXT} characters, this one has {len(text)}.")
    if problem := payloads.text_problem(text):
        raise InvalidEvent(f"{option}={ascii(text)} {problem}.")
    return text


def _checked_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise InvalidEvent(f"headers={headers!r} must be a dict of JSON values.")
    return payloads.encode_headers(headers)
