"""Filters and search of the lists, also with strange input."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from eda_django import publish, publish_many
from eda_django.models import OutboxEvent, search
from tests.admin.lists import LISTS, address, deliver, shown
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


@pytest.fixture
def several() -> list[Any]:
    """Publish four events: new, relayed, set aside, and of a type that no code knows."""
    sent = publish_many(
        [Noted("a"), Noted("b"), ("gone.by", {}), ("test.plain", {})],
        key=lambda payload: getattr(payload, "text", "7"),
        correlation_id="chain-1",
    )
    events = OutboxEvent.objects
    events.filter(event_id=sent[1].id).update(relayed_at=timezone.now())
    events.filter(event_id=sent[2].id).update(
        available_at=timezone.now(), error="no running code knows the event type 'gone.by'"
    )
    return sent


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 4),
        ({"state": "new"}, 3),
        ({"state": "aside"}, 1),
        ({"state": "relayed"}, 1),
        ({"state": "nonsense"}, 4),
        ({"type": "testapp.noted"}, 2),
        ({"type": "gone.by"}, 1),
        ({"type": "testapp.noted", "state": "relayed"}, 1),
        ({"q": "a"}, 1),
        ({"q": "  a  "}, 1),
        ({"q": "   "}, 4),
        ({"q": "7"}, 2),
        ({"q": "chain-1"}, 4),
        ({"q": "chain"}, 0),
    ],
)
def test_events_are_filtered_and_found(
    several: list[Any], admin_client: Client, query: dict[str, str], count: int
):
    assert shown(admin_client, "outboxevent", **query) == count


def test_events_are_found_by_their_id_and_by_the_id_that_their_chain_began_with(
    admin_client: Client,
):
    first = publish(Noted("a"))
    publish(Noted("b"), correlation_id=first.correlation_id)
    publish(Noted("c"))
    assert shown(admin_client, "outboxevent", q=str(first.id)) == 2
    assert shown(admin_client, "outboxevent", q=first.id.hex) == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"status": "dead"}, 1),
        ({"status": "succeeded"}, 2),
        ({"status": "discarded"}, 0),
        ({"subscriber": "testapp.mail"}, 1),
        ({"subscriber": "gone.by"}, 1),
        ({"q": "customer-7"}, 2),
        ({"q": "customer"}, 0),
        ({"q": "999999"}, 0),
    ],
)
def test_deliveries_are_filtered_and_found(admin_client: Client, query: dict[str, str], count: int):
    first = publish(Noted("a"), key="customer-7")
    one = deliver(first.id)
    deliver(first.id, subscriber="testapp.mail", status="dead")
    second = publish(Noted("b"), key=str(one.pk))
    deliver(second.id, subscriber="gone.by")
    assert shown(admin_client, "delivery", **query) == count
    assert shown(admin_client, "delivery", q=str(first.id)) == 2
    assert shown(admin_client, "delivery", q=str(one.pk)) == 2


@pytest.mark.parametrize(
    "key", ["0b5c7a0e-93c1-4ef2-8d0a-6f1c2b3d4e5f", "0b5c7a0e93c14ef28d0a6f1c2b3d4e5f", "1" * 32]
)
def test_a_key_that_looks_like_an_id_is_found_as_a_key(admin_client: Client, key: str):
    one = publish(Noted("a"), key=key)
    deliver(one.id)
    other = publish(Noted("b"), key="other")
    deliver(other.id)
    for model in ("outboxevent", "delivery"):
        assert shown(admin_client, model, q=key) == 1
        assert shown(admin_client, model, q=other.id.hex) == 1


@pytest.mark.parametrize("term", ["order-7", "chain-1"])
def test_a_search_that_does_not_look_at_all_says_so_whatever_is_filtered(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, term: str
):
    """Else a dead delivery of an old event of the key seems not to be there."""
    monkeypatch.setattr(search, "MAX_FOUND", 2)
    told = "no more than the newest 2 events are looked at."

    def page(**query: str) -> str:
        return admin_client.get(address("outboxevent"), query).content.decode()

    deliver(publish(Noted("old"), key="order-7", correlation_id="chain-1").id, status="dead")
    assert told not in page(q=term)
    assert "Nothing found." not in page(q=term, state="dead")
    publish_many([Noted("a"), Noted("b")], key=lambda _: "order-7", correlation_id="chain-1")
    assert told in page(q=f" {term} ")
    assert shown(admin_client, "outboxevent", q=term) == 2
    for query in ({"q": term, "state": "dead"}, {"q": term, "source": "elsewhere"}):
        assert told in page(**query)
    for query in ({}, {"state": "dead"}, {"q": "else"}, {"q": "\x00"}):
        assert told not in page(**query)


STRANGE = ["\x00", "a\x00b", "9" * 30, "9" * 18, "-1", "²", "٣", "a" * 10_000, "%", "'", '"', "\\"]
STRANGE += ["\ud800", "0x10", "1e5", "{}", "🎁", "\u202e", "00000000-0000-0000-0000-00000000000g"]


FIELDS = [("outboxevent", field) for field in ("type", "source", "state", "period")]
FIELDS += [("delivery", field) for field in ("status", "subscriber", "queue", "age", "fingerprint")]
FIELDS += [
    (model, field) for model in ("outboxevent", "delivery") for field in ("q", "p", "o", "e")
]


@pytest.mark.thorough
@pytest.mark.parametrize(("model", "field"), FIELDS)
def test_strange_input_finds_nothing_and_breaks_nothing(
    admin_client: Client, model: str, field: str
):
    publish(Noted("a"))
    for text in STRANGE:
        encoded = {field: text.encode("utf-8", "surrogatepass")}
        assert admin_client.get(address(model), encoded, follow=True).status_code == 200


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("outboxevent", "data__card__startswith"),
        ("outboxevent", "headers__token__contains"),
        ("outboxevent", "error__contains"),
        ("outboxevent", "deliveries__error_text__contains"),
        ("outboxevent", "id__lt"),
        ("outboxevent", "fingerprint"),
        ("delivery", "error_text__contains"),
        ("delivery", "event__data__card__startswith"),
        ("delivery", "id__lt"),
        ("delivery", "type"),
        ("bulkoperation", "operator__startswith"),
        ("relayheartbeat", "hostname__startswith"),
    ],
)
def test_a_list_is_asked_by_its_filters_only(admin_client: Client, model: str, lookup: str):
    """G9: whoever may guess at a column, a letter at a time, reads what is masked there."""
    deliver(publish("test.paid", {"card": "4111"}).id, error_text="4111")
    for value in ("4", "5"):
        assert admin_client.get(address(model), {lookup: value}).status_code == 400


def test_a_filter_that_django_makes_of_a_column_is_no_other_lookup(admin_client: Client) -> None:
    page = admin_client.get(address("bulkoperation"), {"status__exact": "running"})
    assert page.status_code == 200


def test_a_queue_that_is_gone_can_be_chosen_while_something_waits_for_it(admin_client: Client):
    due = {"status": "pending", "due_at": timezone.now()}
    deliver(publish(Noted("a")).id, queue="gone", error_class="eda_django.Unpushable", **due)
    page = admin_client.get(address("delivery"))
    (spec,) = [spec for spec in page.context["cl"].filter_specs if spec.title == "queue"]
    assert "gone" in {name for name, _ in spec.lookup_choices}


def test_the_list_of_deliveries_has_their_keys(admin_client: Client):
    deliver(publish(Noted("a"), key="order-7").id, key="order-7")
    page = admin_client.get(address("delivery")).content.decode()
    assert '<br><span class="quiet">order-7</span></td>' in page


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30, "-1", "_00", "1_2F"])
@pytest.mark.parametrize("model", LISTS)
def test_a_row_that_is_not_there_is_told_and_breaks_nothing(
    admin_client: Client, model: str, pk: str
):
    answer = admin_client.get(address(model, f"{pk}/change/"), follow=True)
    assert answer.status_code == 200
    assert b"exist" in answer.content
