"""publish() in the caller's transaction: its fate is the event's, and none is broken by it."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, TestCase, override_settings
from django.urls import path

from eda_django import InvalidEvent, NotInTransaction, UnknownDatabase, publish, publish_many
from eda_django.models import OutboxEvent
from tests.outbox.publishing import Cancelled, in_thread, rolled_back, statements, texts
from tests.testapp.events import Noted
from tests.testapp.models import Order

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
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("publish() of event 'testapp.noted'", publish),
        ("publish_many()", lambda e, **o: publish_many([e], **o)),
    ],
)
def test_publishing_outside_a_transaction_is_refused(name: str, call: Callable[..., Any]):
    """G1: a silent dual write is the bug that the library exists to prevent."""
    for options, alias in (({}, "default"), ({"using": "other"}, "other")):
        with pytest.raises(NotInTransaction) as caught:
            call(Noted("a"), **options)
        assert str(caught.value) == (
            f"{name} was called outside a transaction on database {alias!r}, so what it publishes "
            f"could exist without the change it tells of. Call it inside "
            f"transaction.atomic(using={alias!r}), or decorate the function with @publishes."
        )
    with transaction.atomic(), pytest.raises(NotInTransaction, match="on database 'other'"):
        call(Noted("a"), using="other")
    assert texts() == texts("other") == []


class TestInATestCase(TestCase):
    """What raises in production raises in a test, too: its transaction is not the caller's."""

    def test_publishing_outside_a_transaction_is_refused(self) -> None:
        """G1"""
        for call in (lambda: publish(Noted("a")), lambda: publish_many([Noted("a")])):
            with pytest.raises(NotInTransaction, match="was called outside a transaction"):
                call()

    def test_publishing_inside_one_is_not(self) -> None:
        with transaction.atomic():
            publish(Noted("b"))
        assert texts() == ["b"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "call", "way_out"),
    [
        ("publish() of event 'testapp.noted'", lambda: publish(Noted("a")), "await apublish()."),
        (
            "publish_many()",
            lambda: publish_many([Noted("a")]),
            "call it inside transaction.atomic(using='default') in a sync function, and await "
            "sync_to_async(function)().",
        ),
    ],
)
def test_in_async_code_the_refusal_names_a_way_that_fits(
    name: str, call: Callable[[], Any], way_out: str
):
    async def main() -> None:
        call()

    with pytest.raises(NotInTransaction) as caught:
        async_to_sync(main)()
    assert str(caught.value) == (
        f"{name} was called outside a transaction on database 'default', so what it publishes "
        f"could exist without the change it tells of. In async code, {way_out}"
    )


@pytest.mark.django_db(transaction=True)
def test_the_way_out_for_many_events_in_async_code_leads_there():
    def both() -> None:
        with transaction.atomic(using="default"):
            publish_many([Noted("a"), Noted("b")])

    async def main() -> None:
        await sync_to_async(both)()

    async_to_sync(main)()
    assert texts() == ["a", "b"]


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


# using=


@pytest.mark.django_db
@pytest.mark.parametrize("using", ["nowhere", "", 5, ["default"], {}])
@pytest.mark.parametrize("call", [publish, lambda e, **o: publish_many([e], **o)])
def test_an_unknown_database_is_refused(call: Callable[..., Any], using: Any):
    with pytest.raises(UnknownDatabase) as caught:
        call(Noted(), using=using)
    assert str(caught.value) == (
        f"There is no database {using!r}: name one that DATABASES has ('default', 'other'), or "
        f"add it there."
    )


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
