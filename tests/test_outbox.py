"""publish() and its kin: rows in the caller's transaction, and nothing else before it commits."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from eda_django import (
    Event,
    InvalidEvent,
    NotInTransaction,
    UnknownDatabase,
    apublish,
    event,
    publish,
    publish_many,
    signals,
)
from eda_django.events import current_event, types
from eda_django.models import OutboxEvent
from tests.testapp.events import Noted, OrderPlaced
from tests.testapp.models import Order

CAUSE = Event(
    data=None,
    id=UUID(int=7),
    type="test.cause",
    version=1,
    source="tests",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="chain-1",
)


class Cancelled(Exception):
    """Rolls a transaction back."""


@pytest.fixture
def rings() -> Iterator[list[str]]:
    """Collect the aliases for which the doorbell is rung."""
    heard: list[str] = []

    def hear(*, using: str, **_: Any) -> None:
        heard.append(using)

    signals.events_committed.connect(hear)
    yield heard
    signals.events_committed.disconnect(hear)


@contextmanager
def rolled_back() -> Iterator[None]:
    """Run the body in a transaction, or a savepoint, that is rolled back."""
    with suppress(Cancelled), transaction.atomic():
        yield
        raise Cancelled


def texts(using: str = "default") -> list[str]:
    return [row.data["text"] for row in OutboxEvent.objects.using(using).order_by("id")]


def placed() -> OrderPlaced:
    return OrderPlaced(
        number="A-1",
        total=Decimal("12.50"),
        placed_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        reference=UUID(int=5),
    )


# The row and the envelope


@pytest.mark.django_db
def test_the_row_has_all_that_the_envelope_has():
    before = timezone.now()
    sent = publish(placed(), key=7, headers={"tenant": "north"}, correlation_id="c-1")
    row = OutboxEvent.objects.get()
    assert row.envelope(sent.data) == sent
    assert sent == Event(
        data=placed(),
        id=row.event_id,
        type="testapp.order_placed",
        version=1,
        source="tests",
        time=row.time,
        key="7",
        headers={"tenant": "north"},
        correlation_id="c-1",
        causation_id=None,
        attempt=0,
    )
    assert row.data == {
        "number": "A-1",
        "total": "12.50",
        "placed_at": "2026-01-02T03:04:00Z",
        "reference": str(UUID(int=5)),
    }
    assert before <= row.time <= timezone.now()
    assert (row.relayed_at, row.available_at, row.idempotency_key) == (None, None, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [
        (Noted("a"),),
        (Noted, Noted("a")),
        (Noted, {"text": "a"}),
        ("testapp.noted", Noted("a")),
        ("testapp.noted", {"text": "a"}),
    ],
)
def test_an_event_is_named_by_its_payload_its_class_or_its_name(arguments: tuple[Any, ...]):
    sent = publish(*arguments)
    assert (sent.type, sent.data) == ("testapp.noted", Noted("a"))
    assert OutboxEvent.objects.get().data == {"text": "a", "behave": ""}


@pytest.mark.django_db
def test_an_undeclared_name_takes_a_dict():
    sent = publish("legacy.noted", {"text": "a", "at": datetime(2026, 1, 2)})
    row = OutboxEvent.objects.get()
    assert (row.type, row.version) == (sent.type, sent.version) == ("legacy.noted", 1)
    assert row.data == {"text": "a", "at": "2026-01-02T00:00:00"}


@pytest.mark.django_db
def test_the_declared_version_is_stored():
    @event("test.versioned", version=4)
    @dataclass
    class Versioned:
        text: str = ""

    assert publish(Versioned()).version == OutboxEvent.objects.get().version == 4


@pytest.mark.django_db
def test_the_source_is_the_sites():
    with override_settings(EDA_DJANGO={"SOURCE": "shop"}):
        assert publish(Noted()).source == OutboxEvent.objects.get().source == "shop"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "stored"),
    [(None, ""), ("", ""), ("a", "a"), (7, "7"), (UUID(int=1), str(UUID(int=1))), ("é" * 255,) * 2],
)
def test_a_key_is_a_text_a_whole_number_or_a_uuid(key: Any, stored: str):
    assert publish(Noted(), key=key).key == OutboxEvent.objects.get().key == stored


@pytest.mark.django_db
def test_the_row_holds_what_was_published_whatever_happens_to_the_dict():
    payload = {"list": [1]}
    headers = {"list": [1]}
    publish("test.dict", payload, headers=headers)
    payload["list"].append(2)
    headers["list"].append(2)
    row = OutboxEvent.objects.get()
    assert (row.data, row.headers) == ({"list": [1]}, {"list": [1]})


@pytest.mark.django_db
def test_texts_numbers_and_names_survive_the_database():
    """Each database stores JSON its own way; what publish() takes must come out the same."""
    sent = {
        "emoji 🎁": "naïve \\u0000 \x01 \u2028",
        "large": [2**63 - 1, -(2**63), 2**64 - 1],
        "floats": [0.1 + 0.2, 1e22, 5e-324, 1.5],
        "deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]],
        "": None,
    }
    publish("test.dict", sent)
    assert OutboxEvent.objects.get().data == sent


# G1: one INSERT


def statements(using: str = "default") -> CaptureQueriesContext:
    return CaptureQueriesContext(connections[using])


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("using", ["default", "other"])
def test_publish_is_one_insert_and_nothing_else(using: str):
    """G1"""
    with transaction.atomic(using=using):
        Order.objects.using(using).create(number="A-1")
        with statements(using) as captured:
            publish(Noted("a"), key=1, headers={"a": 1}, using=using)
    assert [q["sql"].split()[0] for q in captured] == ["INSERT"]


@pytest.mark.django_db
def test_publish_many_is_one_insert_for_all():
    """G1"""
    with transaction.atomic(), statements() as captured:
        sent = publish_many([Noted(str(n)) for n in range(50)])
    assert [q["sql"].split()[0] for q in captured if "SAVEPOINT" not in q["sql"]] == ["INSERT"]
    assert texts() == [e.data.text for e in sent] == [str(n) for n in range(50)]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_with_events_costs_only_their_inserts_more():
    """G1: neither the commit nor the doorbell asks the database for anything."""
    with statements() as captured, transaction.atomic():
        for n in range(3):
            publish(Noted(str(n)))
    verbs = [q["sql"].split()[0] for q in captured if q["sql"] not in ("BEGIN", "BEGIN IMMEDIATE")]
    assert [verb for verb in verbs if verb != "COMMIT"] == ["INSERT"] * 3


@pytest.mark.django_db
def test_publish_many_of_nothing_asks_for_nothing(rings: list[str]):
    with statements() as captured:
        assert publish_many([]) == []
    assert len(captured) == 0


# G1: the transaction


@pytest.mark.django_db(transaction=True)
def test_the_event_exists_if_the_transaction_committed():
    """G1"""
    with transaction.atomic():
        Order.objects.create(number="A-1")
        publish(Noted("kept"))
    assert (texts(), Order.objects.count()) == (["kept"], 1)


@pytest.mark.django_db(transaction=True)
def test_the_event_is_gone_if_the_transaction_rolled_back(rings: list[str]):
    """G1"""
    with rolled_back():
        Order.objects.create(number="A-1")
        publish(Noted("lost"))
    assert (texts(), Order.objects.count(), rings) == ([], 0, [])


@pytest.mark.django_db(transaction=True)
def test_the_event_shares_the_fate_of_its_savepoint(rings: list[str]):
    """G1"""
    with transaction.atomic():
        publish(Noted("outer"))
        with rolled_back():
            publish(Noted("inner, lost"))
        with transaction.atomic():
            publish(Noted("inner, kept"))
    assert texts() == ["outer", "inner, kept"]
    assert rings == ["default"]


@pytest.mark.django_db(transaction=True)
def test_the_event_is_visible_to_others_only_after_the_commit():
    """G1"""
    with transaction.atomic():
        publish(Noted("a"))
        assert in_thread(texts) == []
    assert in_thread(texts) == ["a"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_each_database_has_its_own_outbox_and_its_own_ring(rings: list[str]):
    """G12"""
    with transaction.atomic(using="other"):
        publish(Noted("there"), using="other")
        publish_many([Noted("there too")], using="other")
    assert (texts("other"), texts("default"), rings) == (["there", "there too"], [], ["other"])


class OtherRouter:
    """Sends the outbox to the second database."""

    def db_for_write(self, model: type, **_: Any) -> str | None:
        return "other" if model is OutboxEvent else None


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_without_using_the_router_says_where_the_row_goes():
    """G12"""
    with override_settings(DATABASE_ROUTERS=[OtherRouter()]):
        with pytest.raises(NotInTransaction, match="on database 'other'"):
            publish(Noted("here"))
        with transaction.atomic(using="other"):
            publish(Noted("there"))
    assert (texts("other"), texts("default")) == (["there"], [])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("call", [publish, lambda e, **o: publish_many([e], **o)])
def test_publishing_outside_a_transaction_is_refused(call: Callable[..., Any]):
    """G1: a silent dual write is the bug that the library exists to prevent."""
    for options, alias in (({}, "default"), ({"using": "other"}, "other")):
        with pytest.raises(NotInTransaction) as caught:
            call(Noted("a"), **options)
        assert str(caught.value) == (
            f"publish() was called outside a transaction on database {alias!r}, so the event "
            f"could exist without the change it tells of. Call it inside "
            f"transaction.atomic(using={alias!r}), or decorate the function with @publishes."
        )
    with transaction.atomic(), pytest.raises(NotInTransaction, match="on database 'other'"):
        call(Noted("a"), using="other")
    assert texts() == texts("other") == []


@pytest.mark.django_db(transaction=True)
def test_in_async_code_the_refusal_names_apublish():
    async def main() -> None:
        publish(Noted("a"))

    with pytest.raises(NotInTransaction) as caught:
        async_to_sync(main)()
    assert str(caught.value) == (
        "publish() was called outside a transaction on database 'default', so the event could "
        "exist without the change it tells of. In async code, await apublish()."
    )


@pytest.mark.django_db(transaction=True)
def test_a_setting_allows_publishing_outside_a_transaction(rings: list[str]):
    with override_settings(EDA_DJANGO={"REQUIRE_ATOMIC": False}):
        publish(Noted("a"))
        publish_many([Noted("b")])
        first = publish(Noted("c"), idempotency_key="c")
        assert publish(Noted("c"), idempotency_key="c").id == first.id
    assert texts() == ["a", "b", "c"]
    assert rings == ["default"] * 3


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_django_does_not_manage_rings_no_bell_and_breaks_nothing(
    rings: list[str],
):
    with override_settings(EDA_DJANGO={"REQUIRE_ATOMIC": False}):
        transaction.set_autocommit(False)
        try:
            publish(Noted("a"))
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
    assert (texts(), rings) == (["a"], [])


def checkout(request: HttpRequest) -> HttpResponse:
    publish(Noted("from a view"))
    if "fail" in request.GET:
        raise Cancelled
    return HttpResponse()


urlpatterns = [path("checkout", checkout)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("query", "left"), [("", ["from a view"]), ("?fail", [])])
def test_a_view_under_atomic_requests_needs_no_transaction_of_its_own(
    query: str, left: list[str], client: Client, monkeypatch: pytest.MonkeyPatch
):
    """G1"""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    client.raise_request_exception = False
    with override_settings(ROOT_URLCONF=__name__):
        answer = client.get(f"/checkout{query}")
    assert answer.status_code == (200 if left else 500)
    assert texts() == left


# G6: the doorbell


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_once_a_transaction_and_after_it(rings: list[str]):
    """G6"""
    with transaction.atomic():
        for n in range(3):
            publish(Noted(str(n)))
        publish_many([Noted("x"), Noted("y")])
        publish(Noted("z"), idempotency_key="z")
        with transaction.atomic():
            publish(Noted("inner"))
        assert rings == []
    assert rings == ["default"]


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_for_what_committed_though_what_asked_first_rolled_back(rings: list[str]):
    with transaction.atomic():
        with rolled_back():
            publish(Noted("lost"))
        publish(Noted("kept"))
    assert (texts(), rings) == (["kept"], ["default"])


@pytest.mark.django_db(transaction=True)
def test_no_bell_rings_if_only_the_savepoint_with_the_event_rolled_back(rings: list[str]):
    with transaction.atomic():
        Order.objects.create(number="A-1")
        with rolled_back():
            publish(Noted("lost"))
    assert rings == []


@pytest.mark.django_db(transaction=True)
def test_no_bell_rings_for_an_event_that_was_there_already(rings: list[str]):
    for _ in range(2):
        with transaction.atomic():
            publish(Noted("a"), idempotency_key="a")
    assert rings == ["default"]


@pytest.mark.django_db(transaction=True)
def test_a_doorbell_that_fails_fails_nothing():
    """G6"""

    def fail(**_: Any) -> None:
        raise ConnectionError("no Redis today")

    signals.events_committed.connect(fail)
    try:
        with statements() as captured, transaction.atomic():
            publish(Noted("a"))
    finally:
        signals.events_committed.disconnect(fail)
    assert texts() == ["a"]
    assert sum(q["sql"].startswith("INSERT") for q in captured) == 1


# Correlation and causation


@contextmanager
def caused_by(cause: Event[Any]) -> Iterator[None]:
    token = current_event.set(cause)
    try:
        yield
    finally:
        current_event.reset(token)


@pytest.mark.django_db
def test_the_first_event_of_a_chain_names_the_chain():
    sent = publish(Noted())
    assert (sent.correlation_id, sent.causation_id) == (str(sent.id), None)


@pytest.mark.django_db
def test_what_a_subscriber_publishes_carries_its_chain_and_its_cause():
    with caused_by(CAUSE):
        sent = [publish(Noted()), *publish_many([Noted(), Noted()])]
    assert {(e.correlation_id, e.causation_id) for e in sent} == {("chain-1", CAUSE.id)}
    rows = OutboxEvent.objects.values_list("correlation_id", "causation_id")
    assert set(rows) == {("chain-1", CAUSE.id)}


@pytest.mark.django_db
@pytest.mark.parametrize(("given", "stored"), [("own", "own"), (UUID(int=3), str(UUID(int=3)))])
def test_a_correlation_id_that_is_given_wins_and_the_cause_stays(given: Any, stored: str):
    with caused_by(CAUSE):
        sent = publish(Noted(), correlation_id=given)
    assert (sent.correlation_id, sent.causation_id) == (stored, CAUSE.id)


@pytest.mark.django_db(transaction=True)
def test_the_cause_reaches_async_code_and_its_threads():
    async def main() -> Event[Any]:
        return await apublish(Noted())

    with caused_by(CAUSE):
        assert async_to_sync(main)().causation_id == CAUSE.id


# apublish()


@pytest.mark.django_db(transaction=True)
def test_apublish_commits_in_a_transaction_of_its_own(rings: list[str]):
    async def main() -> Event[Any]:
        sent = await apublish("testapp.noted", {"text": "a"}, key=7, idempotency_key="k")
        assert await sync_to_async(transaction.get_autocommit)()
        assert rings == ["default"]
        return sent

    sent = async_to_sync(main)()
    row = OutboxEvent.objects.get()
    assert (row.event_id, row.key, row.idempotency_key) == (sent.id, "7", "k")


@pytest.mark.django_db(transaction=True)
def test_apublish_raises_what_publish_raises():
    with pytest.raises(UnknownDatabase):
        async_to_sync(apublish)(Noted(), using="nowhere")
    with pytest.raises(InvalidEvent):
        async_to_sync(apublish)(5)


# using=


@pytest.mark.django_db
@pytest.mark.parametrize("using", ["nowhere", ""])
@pytest.mark.parametrize("call", [publish, lambda e, **o: publish_many([e], **o)])
def test_an_unknown_database_is_refused(call: Callable[..., Any], using: str):
    with pytest.raises(UnknownDatabase) as caught:
        call(Noted(), using=using)
    assert str(caught.value) == (
        f"There is no database {using!r}, DATABASES has 'default', 'other'."
    )


# publish_many()


@pytest.mark.django_db
def test_publish_many_takes_payloads_and_pairs_and_keeps_their_order():
    sent = publish_many(
        (
            Noted("a"),
            ("legacy.noted", {"text": "b"}),
            (Noted, {"text": "c"}),
        ),
        key=lambda payload: getattr(payload, "text", "dict"),
        headers={"batch": 1},
        correlation_id="c-1",
    )
    rows = list(OutboxEvent.objects.order_by("id"))
    assert [row.event_id for row in rows] == [e.id for e in sent]
    assert [row.type for row in rows] == ["testapp.noted", "legacy.noted", "testapp.noted"]
    assert [row.key for row in rows] == ["a", "dict", "dict"]
    assert [row.headers for row in rows] == [{"batch": 1}] * 3
    assert {row.correlation_id for row in rows} == {"c-1"}


@pytest.mark.django_db
def test_publish_many_takes_an_iterator_and_publishes_all_or_none():
    with pytest.raises(InvalidEvent, match="field 'text' is declared as str"):
        publish_many(Noted(text) for text in ("a", 5))  # type: ignore[arg-type]
    assert texts() == []
    publish_many(Noted(text) for text in "ab")
    assert texts() == ["a", "b"]


# idempotency_key


@pytest.mark.django_db(transaction=True)
def test_a_second_publish_with_the_key_returns_the_first_event_and_inserts_nothing():
    with transaction.atomic():
        first = publish(placed(), idempotency_key="order-1", key="k", headers={"a": 1})
    with transaction.atomic():
        again = publish(
            OrderPlaced("B-2", Decimal(1), timezone.now(), uuid4()), idempotency_key="order-1"
        )
    assert again == first
    assert OutboxEvent.objects.count() == 1


@pytest.mark.django_db
def test_a_second_publish_does_not_lock_the_first_event():
    """Relays pass over a locked event: it would wait for a transaction that may take long."""
    publish(Noted("a"), idempotency_key="k")
    with statements() as captured:
        publish(Noted("b"), idempotency_key="k")
    assert not any("FOR UPDATE" in query["sql"] for query in captured)


@pytest.mark.django_db
@pytest.mark.parametrize("key", [7, UUID(int=7), "seven"])
def test_an_idempotency_key_is_of_the_kinds_that_a_key_is(key: Any):
    first = publish(Noted("a"), idempotency_key=key)
    assert publish(Noted("b"), idempotency_key=str(key)).id == first.id


@pytest.mark.django_db
def test_another_event_type_may_have_the_same_idempotency_key():
    publish(Noted("a"), idempotency_key="k")
    publish("legacy.noted", {"text": "b"}, idempotency_key="k")
    assert texts() == ["a", "b"]


@pytest.mark.django_db
def test_events_without_an_idempotency_key_never_get_in_each_others_way():
    publish_many([Noted("a"), Noted("a")])
    publish(Noted("a"))
    assert texts() == ["a"] * 3


@pytest.mark.django_db(transaction=True)
def test_an_idempotency_key_is_free_again_when_its_savepoint_rolled_back():
    with transaction.atomic():
        with rolled_back():
            publish(Noted("lost"), idempotency_key="k")
        kept = publish(Noted("kept"), idempotency_key="k")
        assert publish(Noted("again"), idempotency_key="k").id == kept.id
    assert texts() == ["kept"]


@pytest.mark.django_db(transaction=True)
def test_a_second_publish_leaves_the_callers_transaction_usable():
    with transaction.atomic():
        publish(Noted("a"), idempotency_key="k")
    with transaction.atomic():
        publish(Noted("b"), idempotency_key="k")
        Order.objects.create(number="A-1")
    assert Order.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "second"), [("order-a", "order-A"), ("a", "a "), ("e", "é")])
def test_keys_that_a_database_takes_for_one_are_refused_not_mixed_up(first: str, second: str):
    publish(Noted("a"), idempotency_key=first)
    if connection.vendor != "mysql":
        publish(Noted("b"), idempotency_key=second)
        assert texts() == ["a", "b"]
        return
    with pytest.raises(InvalidEvent) as caught:
        publish(Noted("b"), idempotency_key=second)
    assert str(caught.value) == (
        f"Event 'testapp.noted': idempotency_key={second!r} is to this database the same as "
        f"{first!r}, which is taken; use another spelling."
    )
    assert texts() == ["a"]


@pytest.mark.django_db
def test_the_first_event_of_newer_code_is_returned_as_it_is():
    """G10: in a rolling deploy, older code must not fail for what newer code published."""
    first = publish(Noted("a"), idempotency_key="k")
    OutboxEvent.objects.update(version=2)
    again = publish(Noted("b"), idempotency_key="k")
    assert (again.id, again.version, again.data) == (first.id, 2, {"text": "a", "behave": ""})


@pytest.mark.django_db
def test_another_broken_constraint_is_not_taken_for_the_idempotency_key(
    monkeypatch: pytest.MonkeyPatch,
):
    taken = publish(Noted("a")).id
    monkeypatch.setattr("eda_django.outbox.uuid7", lambda: taken)
    with pytest.raises(IntegrityError, match="event_id"):
        publish(Noted("b"), idempotency_key="k")


# ... and at the same time


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing_connections(function)).result()


def closing_connections(function: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return run


def publish_once(text: str) -> UUID:
    with transaction.atomic():
        return publish(Noted(text), idempotency_key="k").id


WAITING = {
    "postgresql": (
        "SELECT COUNT(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ),
    "mysql": (
        "SELECT COUNT(*) FROM information_schema.innodb_trx "
        "JOIN information_schema.processlist ON id = trx_mysql_thread_id "
        "WHERE db = DATABASE() AND trx_state = 'LOCK WAIT'"
    ),
    # Writers queue outside the transaction, where nobody can see them.
    "sqlite": "SELECT 2",
}


def wait_for_two_that_wait() -> None:
    deadline = time.monotonic() + 20
    while in_thread(_waiting) < 2:
        assert time.monotonic() < deadline
        # InnoDB shows a copy, and makes a new one only 0.1 s after the last look at the old one.
        time.sleep(0.25)


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_publishers_that_wait_for_the_first_get_its_event():
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            first = publish(Noted("first"), idempotency_key="k").id
            late = [pool.submit(closing_connections(lambda: publish_once("late"))) for _ in "12"]
            wait_for_two_that_wait()
        assert {answer.result(30) for answer in late} == {first}
    assert texts() == ["first"]


@pytest.mark.django_db(transaction=True)
def test_of_many_publishers_at_once_one_publishes():
    start = threading.Barrier(4)

    def race() -> UUID:
        start.wait(20)
        return publish_once("a")

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(closing_connections(race)) for _ in range(4)]
        assert len({answer.result(30) for answer in answers}) == 1
    assert texts() == ["a"]


@pytest.mark.django_db(transaction=True)
def test_a_publisher_that_waited_for_one_that_rolled_back_publishes_itself():
    with ThreadPoolExecutor(1) as pool:
        with rolled_back():
            publish(Noted("first"), idempotency_key="k")
            second = pool.submit(closing_connections(lambda: publish_once("second")))
        second.result(30)
    assert texts() == ["second"]


@contextmanager
def repeatable_read() -> Iterator[None]:
    """Open a transaction that has read already, and from now on reads the same."""
    begin = {
        "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    }[connection.vendor]
    try:
        if connection.vendor == "mysql":
            with connection.cursor() as cursor:
                cursor.execute(begin)
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(begin)
            assert not OutboxEvent.objects.exists()
            yield
    finally:
        # The next test gets a session with the isolation level of the settings.
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_under_repeatable_read_an_event_that_came_meanwhile_is_found_or_the_reason_told():
    if connection.vendor == "sqlite":
        # One writer at a time: nothing can come meanwhile.
        first = publish_once("first")
        with transaction.atomic():
            assert publish(Noted("second"), idempotency_key="k").id == first
    elif connection.vendor == "mysql":
        with repeatable_read():
            first = in_thread(lambda: publish_once("first"))
            assert publish(Noted("second"), idempotency_key="k").id == first
    else:
        text = (
            "Event 'testapp.noted': idempotency_key='k' was taken after this transaction began, "
            "and its isolation level hides by which event. Run it again."
        )
        with repeatable_read():
            in_thread(lambda: publish_once("first"))
            with pytest.raises(OperationalError, match=f"^{re.escape(text)}$"):
                publish(Noted("second"), idempotency_key="k")
    assert texts() == ["first"]


# Bad input reaches no database


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [
        (Noted(5),),  # type: ignore[arg-type]
        (Noted, 5),
        ("bad name", {}),
        ("a" * 256, {}),
        ("a\x00", {}),
        ("test.big", {"text": "x" * 2_000_000}),
        (object(),),
    ],
)
def test_bad_input_leaves_the_transaction_usable(arguments: tuple[Any, ...]):
    with statements() as captured, pytest.raises(InvalidEvent):
        publish(*arguments)
    assert len(captured) == 0
    publish(Noted("still works"))
    assert texts() == ["still works"]


@pytest.mark.django_db
def test_a_name_is_not_declared_by_being_published():
    """G10: a relay routes what is declared, and would route it past subscribers it lacks."""
    publish("test.never_declared", {})
    assert types.get("test.never_declared") is None
