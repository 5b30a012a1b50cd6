"""Which deliveries are meant: the filter of a list, and of a bulk operation, in one form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from django.db.models import Q

from .delivery import Delivery
from .outbox import OutboxEvent
from .status import CLAIMED, RETRYING, SET_ASIDE, Status

# In the place of an error's class: any of those that a delivery is put aside with.
ASIDE = "aside"
# States that a partial index has, so that finding them costs what they are, not what is stored.
IN_AN_INDEX = frozenset({Status.PENDING, Status.QUEUED, Status.RUNNING, Status.DEAD, RETRYING})
# The most events of one key whose deliveries are looked for.
SAME_KEY = 1_000
# Deliveries of the first events that are younger than an age, whose numbers tell where it begins.
YOUNGER = 1_000
# Of a number that every database's bigint can hold.
MAX_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Deliveries by state, subscriber, queue, error, cause, the age of their event, and a search.

    `until_event` is the number that the event must be below; 0 for any. `age` only names what that
    number was found for.
    """

    status: str = ""
    subscriber: str = ""
    queue: str = ""
    error_class: str = ""
    fingerprint: str = ""
    age: str = ""
    until_event: int = 0
    search: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Selection":
        """Return the selection that was stored with as_json(), perhaps by older code."""
        return cls(**{name: stored[name] for name in _names(cls) if name in stored})

    @classmethod
    def can_read(cls, stored: Any) -> bool:
        """Whether this code knows all parts of a stored selection, and the kinds of their values.

        Newer code may have given a list of what is one text here.
        """
        kinds = {field.name: type(field.default) for field in fields(cls)}
        return isinstance(stored, dict) and all(
            # Not isinstance(): True is no number.
            type(value) is kinds.get(name)
            for name, value in stored.items()
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_narrow(self) -> bool:
        """Whether an index finds these rows, however many others there are."""
        is_found = bool(self.search) or bool(self.fingerprint) or self.is_aside
        return self.status in IN_AN_INDEX or is_found

    @property
    def is_aside(self) -> bool:
        """Whether this is about what waits for code, or for a queue, that is not there."""
        return self.error_class in (ASIDE, *SET_ASIDE)

    @property
    def error_classes(self) -> tuple[str, ...]:
        """The classes of errors that are meant; empty for any, and for none."""
        if self.error_class == ASIDE:
            return SET_ASIDE
        return (self.error_class,) if self.error_class else ()

    def highest(self, using: str) -> int | None:
        """Return a number that hardly any of these deliveries is above; None if any may be.

        One that was made long after its event may be: by an operator who sent that again.
        """
        if not self.until_event:
            return None
        younger: Any = Delivery.objects.using(using).filter(event_id__gte=self.until_event)
        numbers = sorted(younger.order_by("event_id").values_list("pk", flat=True)[:YOUNGER])
        # Not the first: relays that work side by side mix the numbers of their batches. And not
        # the last, which may itself have been made long after its event.
        return numbers[len(numbers) // 2] if numbers else None

    def among(self, rows: Any) -> Any:
        """Return those of the deliveries that are meant."""
        return self.indexed_in(rows).filter(self.rest)

    def indexed_in(self, rows: Any) -> Any:
        """Return those that an index leads to; those of them that `rest` has are meant."""
        if self.status == RETRYING:
            rows = rows.filter(status=Status.PENDING, attempts__gt=0)
        elif self.status:
            rows = rows.filter(status=self.status)
        if self.status in CLAIMED:
            # Every claim has one; the index over them is looked for by it.
            rows = rows.filter(lease_until__isnull=False)
        if self.is_aside:
            # The last error stays after a later success: then it does not wait any more.
            rows = rows.filter(status=Status.PENDING)
        if self.fingerprint:
            rows = rows.failing()
        if self._is_cause:
            rows = rows.filter(subscriber=self.subscriber, fingerprint=self.fingerprint)
        return rows.filter(self._found(rows.db)) if self.search else rows

    @property
    def rest(self) -> Q:
        """What is meant by all that no index leads to."""
        wanted = Q()
        if self.error_classes:
            wanted &= Q(error_class__in=self.error_classes)
        names = ("queue",) if self._is_cause else ("queue", "subscriber", "fingerprint")
        for name in names:
            if value := getattr(self, name):
                wanted &= Q(**{name: value})
        if self.until_event:
            wanted &= Q(event_id__lt=self.until_event)
        return wanted

    @property
    def _is_cause(self) -> bool:
        return bool(self.subscriber and self.fingerprint)

    def is_cut(self, using: str) -> bool:
        """Whether there may be more events of the key that is searched for than are looked at."""
        if not self.search:
            return False
        return len(self._same_key(using)) >= SAME_KEY

    def _same_key(self, using: str) -> Any:
        """Return the numbers of events with the key that is searched for, as many as are read."""
        events: Any = OutboxEvent.objects.using(using).filter(key=self.search).exclude(key="")
        return events.order_by("-pk").values_list("pk", flat=True)[:SAME_KEY]

    def _found(self, using: str) -> Q:
        """An event's id, a key, or a delivery's number, exactly."""
        events: Any = OutboxEvent.objects.using(using)
        numbers = set(self._same_key(using))
        # A key may well look like an id: many sites' orders have a UUID.
        if event_id := as_uuid(self.search):
            numbers.update(events.filter(event_id=event_id).values_list("pk", flat=True))
        found = Q(event_id__in=sorted(numbers))
        if self.search.isdecimal() and len(self.search) <= MAX_DIGITS:
            found |= Q(pk=int(self.search))
        return found


def _names(selection: type[Selection]) -> set[str]:
    return {field.name for field in fields(selection)}


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
