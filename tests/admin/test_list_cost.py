"""What a list costs: it counts nothing, and looks at a window only."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django import publish, publish_many
from eda_django.models import Attempt, Delivery, OutboxEvent, selection, windows
from tests.admin.lists import address, deliver, fail
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


def fill(count: int) -> None:
    sent = publish_many([Noted(str(n)) for n in range(count)])
    for one in sent:
        fail(deliver(one.id, status="dead", error_text="broke"))


def sql(client: Client, page: str, **query: Any) -> list[str]:
    # The first request fills Django's cache of content types.
    assert client.get(page, query).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        client.get(page, query)
    return [query["sql"] for query in captured]


QUERIES = [
    ("outboxevent", {}),
    ("outboxevent", {"q": "a"}),
    ("outboxevent", {"state": "new", "type": "testapp.noted"}),
    ("outboxevent", {"state": "aside"}),
    ("outboxevent", {"p": "1"}),
    ("delivery", {}),
    ("delivery", {"q": "a"}),
    ("delivery", {"q": "987654321"}),
    ("delivery", {"q": "0b5c7a0e-93c1-4ef2-8d0a-6f1c2b3d4e5f"}),
    ("delivery", {"status": "dead", "subscriber": "testapp.behave"}),
    ("delivery", {"p": "1"}),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("model", "query"), QUERIES)
def test_a_list_costs_the_same_for_few_and_for_many_rows(
    admin_client: Client, model: str, query: dict[str, str]
):
    fill(2)
    few = sql(admin_client, address(model), **query)
    fill(20)
    assert len(sql(admin_client, address(model), **query)) == len(few) <= 12


@pytest.mark.parametrize("page", [lambda: event_page(), lambda: delivery_page()])
def test_a_page_costs_the_same_for_few_and_for_many_rows(
    admin_client: Client, page: Callable[[], str]
):
    fill(1)
    few = sql(admin_client, page())
    event = OutboxEvent.objects.get()
    for n in range(20):
        delivery = deliver(event.event_id, subscriber=f"s{n}")
        fail(delivery)
    Attempt.objects.update(delivery=delivery)
    assert len(sql(admin_client, page())) == len(few) <= 11


def event_page() -> str:
    return address("outboxevent", f"{OutboxEvent.objects.get().pk}/change/")


def delivery_page() -> str:
    last = Delivery.objects.order_by("-pk")[0]
    return address("delivery", f"{last.pk}/change/")


@pytest.mark.parametrize(("model", "query"), QUERIES)
def test_no_list_counts_rows_or_skips_over_them(
    admin_client: Client, model: str, query: dict[str, str]
):
    """COUNT(*) of a table of millions takes seconds on every click, and OFFSET reads them too."""
    fill(1)
    statements = sql(admin_client, address(model), **query)
    # The deliveries of the page's own events are counted, and nothing else.
    counts = [one for one in statements if "COUNT(" in one and "GROUP BY" not in one]
    assert counts == []
    assert not any("DISTINCT" in one or "OFFSET" in one for one in statements)


def test_pages_are_turned_by_key(admin_client: Client):
    publish_many([Noted(str(n)) for n in range(120)], key=lambda payload: payload.text)
    query: dict[str, str] = {}
    seen: list[str] = []
    for _ in range(3):
        changes = admin_client.get(address("outboxevent"), query).context["cl"]
        seen += [row.key for row in changes.result_list]
        query = dict(parse_qsl(changes.older_url.lstrip("?")))
    assert seen == [str(n) for n in reversed(range(120))]
    assert query == {}


def test_a_page_looks_through_a_window_only_and_says_so(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
):
    """A filter that matches little must not read millions of rows."""
    monkeypatch.setattr(windows, "WINDOW", 50)
    first = publish(Noted("rare"), headers={})
    OutboxEvent.objects.filter(event_id=first.id).update(source="elsewhere")
    publish_many([Noted(str(n)) for n in range(120)])
    query, clicks = {"source": "elsewhere"}, 0
    while not (
        changes := admin_client.get(address("outboxevent"), query).context["cl"]
    ).result_list:
        assert changes.is_cut
        query, clicks = dict(parse_qsl(changes.older_url.lstrip("?"))), clicks + 1
    assert [row.event_id for row in changes.result_list] == [first.id]
    assert clicks == 2


def test_what_is_old_is_looked_for_where_it_lies(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
):
    """Behind a million younger ones, many a page would have shown nothing."""
    monkeypatch.setattr(windows, "WINDOW", 10)
    monkeypatch.setattr(selection, "YOUNGER", 4)
    fill(3)
    OutboxEvent.objects.update(time=timezone.now() - timedelta(days=8))
    old = sorted(Delivery.objects.values_list("pk", flat=True), reverse=True)
    fill(30)
    late = deliver(OutboxEvent.objects.earliest("pk").event_id, subscriber="testapp.late")
    page = admin_client.get(address("delivery"), {"age": "week"})
    changes = page.context["cl"]
    assert [row.pk for row in changes.result_list] == old
    # One that was made long after its event is not hidden: the way to it is offered.
    assert changes.is_cut
    newest = dict(parse_qsl(changes.newest_url.lstrip("?")))
    changes = admin_client.get(address("delivery"), newest).context["cl"]
    assert [row.pk for row in changes.result_list] == [late.pk]


def test_what_matches_may_be_acted_on_though_this_part_of_the_table_has_none_of_it(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(windows, "WINDOW", 10)
    publish(Noted("rare"))
    deliver(OutboxEvent.objects.get().event_id, queue="rare")
    fill(30)
    page = admin_client.get(address("delivery"), {"queue": "rare"})
    assert page.context["cl"].is_cut
    assert not page.context["cl"].result_list
    assert b"Everything that the filter matches" in page.content
    page = admin_client.get(address("delivery"), {"queue": "rare", "status": "dead"})
    assert b"Everything that the filter matches" not in page.content


def test_the_newest_stand_first(admin_client: Client):
    publish_many([Noted(str(n)) for n in range(3)], key=lambda payload: payload.text)
    answer = admin_client.get(address("outboxevent"))
    assert [row.key for row in answer.context["cl"].result_list] == ["2", "1", "0"]
