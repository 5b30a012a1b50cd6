"""For the tests of sites: what was published, and the whole way to the subscribers."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Max, QuerySet

from .events import check_name, types
from .exceptions import InvalidEvent
from .inline import InlineTransport
from .models import Delivery, OutboxEvent
from .registry import registry
from .relay import Relay


@contextmanager
def capture(*events: type | str, using: str = DEFAULT_DB_ALIAS) -> Iterator[list[OutboxEvent]]:
    """Collect what the body publishes, oldest first: of these events, by class or name, or all.

    The list is filled when the body ends, with OutboxEvent rows; what was rolled back is not
    among them. Raises InvalidEvent for a class that is no event, and at the end for a name that
    neither the code nor the outbox knows: its list would be empty whatever the body does.
    """
    names = [_name_of(event) for event in events]
    rows = OutboxEvent.objects.using(using)
    last = rows.aggregate(last=Max("pk"))["last"] or 0
    published: list[OutboxEvent] = []
    yield published
    found = rows.filter(pk__gt=last).order_by("pk")
    published += found.filter(type__in=names) if names else found
    for name in names:
        _check_known(name, rows)


def drain(using: str = DEFAULT_DB_ALIAS) -> list[Delivery]:
    """Run every delivery that is due, here and now, the way a relay and workers would.

    Includes what the subscribers publish meanwhile; what failed waits for its retry. Returns the
    deliveries that were attempted.
    """
    before = dict(Delivery.objects.using(using).values_list("pk", "started_at"))
    Relay(using=using, transport=InlineTransport()).drain()
    rows = Delivery.objects.using(using).select_related("event").order_by("pk")
    return [row for row in rows if before.get(row.pk) != row.started_at]


def _name_of(event: type | str) -> str:
    declared = types.of_class(event) if isinstance(event, type) else None
    if declared is None and not isinstance(event, str):
        raise InvalidEvent(
            f"capture() takes events by class or name, and {event!r:.100} is no class that is "
            f"decorated with @event."
        )
    return declared.name if declared else check_name(event)


def _check_known(name: str, rows: "QuerySet[OutboxEvent]") -> None:
    # Publishing needs no declaration, so what is not declared may be right: the outbox knows.
    if registry.knows_type(name) or rows.filter(type=name).exists():
        return
    close = get_close_matches(name, sorted(registry.type_names()), n=1)
    guess = f"did you mean {close[0]!r}?" if close else "is the name right?"
    raise InvalidEvent(
        f"capture({name!r}): nothing declares this event or subscribes to it, and none was ever "
        f"published; {guess} Otherwise declare it: @event({name!r})."
    )
