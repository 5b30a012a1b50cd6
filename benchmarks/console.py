"""P13 and P14: the console's pages on a full database, in milliseconds and in statements."""

import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from benchmarks import filling, history
from benchmarks.measure import Bar, Measure, Size
from benchmarks.standing import Counter
from eda_django import subscribes
from eda_django.models import Delivery, OutboxEvent
from eda_django.registry import registry

# Milliseconds that a page may take, and statements.
MOST, MOST_STATEMENTS = 300, 22


def _list(name: str, **query: str) -> Callable[[], str]:
    return lambda: f"{reverse(f'admin:eda_django_{name}_changelist')}?{urlencode(query)}"


def _search(column: str) -> Callable[[], str]:
    """Return the search for an event of the middle, by one of its columns."""

    def address() -> str:
        rows = OutboxEvent.objects.exclude(idempotency_key=None).order_by("pk")
        middle = OutboxEvent.objects.order_by("pk")[0].pk + OutboxEvent.objects.count() // 2
        found = getattr(rows.filter(pk__gte=middle)[0], column)
        return _list("outboxevent", q=str(found))()

    return address


def _row(model: Any, name: str) -> Callable[[], str]:
    """Return the page of the newest dead delivery, or of its event."""

    def address() -> str:
        newest = Delivery.objects.dead().order_by("-pk")[0]
        return reverse(
            f"admin:eda_django_{name}_change",
            args=[newest.pk if model is Delivery else newest.event_id],
        )

    return address


def _group() -> str:
    row = Delivery.objects.dead().order_by("-pk")[0]
    query = {"subscriber": row.subscriber, "fingerprint": row.fingerprint}
    return f"{reverse('admin:eda_django_failure_group')}?{urlencode(query)}"


PAGES: dict[str, Callable[[], str]] = {
    "overview": _list("overview"),
    "events": _list("outboxevent"),
    "events of a type": _list("outboxevent", type="bench.type_3", period="day"),
    "events with a dead delivery": _list("outboxevent", state="dead"),
    "events not relayed yet": _list("outboxevent", state="new"),
    "events no code knows": _list("outboxevent", state="aside"),
    "search by id": _search("event_id"),
    "search by key": _search("key"),
    "search by correlation id": _search("correlation_id"),
    "search by idempotency key": _search("idempotency_key"),
    "an event": _row(OutboxEvent, "outboxevent"),
    "failures": _list("failure"),
    "a group of failures": _group,
    "deliveries": _list("delivery"),
    "deliveries, pending": _list("delivery", status="pending"),
    "deliveries, queued": _list("delivery", status="queued"),
    "deliveries, retrying": _list("delivery", status="retrying"),
    "deliveries, dead": _list("delivery", status="dead"),
    "deliveries, succeeded": _list("delivery", status="succeeded"),
    "deliveries, discarded": _list("delivery", status="discarded"),
    "deliveries, over a day old": _list("delivery", age="day"),
    "deliveries of a subscription": _list("delivery", subscriber="bench.subscriber_3"),
    "a delivery": _row(Delivery, "delivery"),
    "catalogue": _list("catalogueentry"),
    "bulk operations": _list("bulkoperation"),
    "relays": _list("relayheartbeat"),
}


class Desk:
    """An operator who is logged in, before tables that are full."""

    def __init__(self) -> None:
        self._client = Client()
        self._addresses: dict[str, str] = {}
        self._filled = 0

    def prepare(self, size: Size) -> None:
        """Fill the tables, and open every page once; nothing if another measure did so before."""
        if self._filled == size.console_events and OutboxEvent.objects.count() >= self._filled:
            return
        filling.empty()
        history.write(size.console_events)
        self._filled = size.console_events
        _declare()
        user, _made = User.objects.get_or_create(
            username="operator", defaults={"is_staff": True, "is_superuser": True}
        )
        self._client.force_login(user)
        self._addresses = {name: find() for name, find in PAGES.items()}
        for name in PAGES:
            self._open(name)

    def milliseconds(self, name: str) -> Callable[[Size], float]:
        def run(size: Size) -> float:
            began_at = time.perf_counter()
            self._open(name)
            return (time.perf_counter() - began_at) * 1000

        return run

    def statements(self, name: str) -> Callable[[Size], float]:
        def run(size: Size) -> float:
            counter = Counter()
            with connection.execute_wrapper(counter):
                self._open(name)
            return counter.count

        return run

    def _open(self, name: str) -> None:
        answer = self._client.get(self._addresses[name])
        if answer.status_code != 200:
            raise RuntimeError(f"{self._addresses[name]} answered {answer.status_code}.")


def ignore(event: Any) -> None:
    """Subscribe; nothing is ever delivered here."""


def _declare() -> None:
    """Have the code know what the tables tell of, as a site's does."""
    for number in range(history.TYPES):
        registry.add_publisher(f"bench.type_{number}", f"shop.services.publish_{number}")
    for name, numbers in history.subscriptions().items():
        if name not in registry.names():
            subscribes(*(f"bench.type_{number}" for number in numbers), name=name)(ignore)


_desk = Desk()

P13 = Measure(
    number="P13",
    title="a page of the console",
    unit="ms",
    contestants={name: _desk.milliseconds(name) for name in PAGES},
    bars=[Bar(name=name, of=name, at_most=MOST) for name in PAGES],
    times=2,
    prepare=_desk.prepare,
)
P14 = Measure(
    number="P14",
    title="statements of a page of the console",
    unit="statements",
    contestants={name: _desk.statements(name) for name in PAGES},
    bars=[Bar(name=name, of=name, at_most=MOST_STATEMENTS) for name in PAGES],
    prepare=_desk.prepare,
)
