"""The admin lists: they show, to whoever may look, and never change or count it all."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django import publish, publish_many
from eda_django.models import Attempt, Delivery, OutboxEvent, RelayHeartbeat, windows
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db

LISTS = ("outboxevent", "delivery", "relayheartbeat")


def address(model: str, rest: str = "") -> str:
    return f"/admin/eda_django/{model}/{rest}"


def deliver(event_id: UUID, **values: Any) -> Any:
    row = OutboxEvent.objects.get(event_id=event_id)
    common = {"subscriber": "testapp.behave", "queue": "default", "status": "succeeded"}
    return Delivery.objects.create(event=row, **{**common, **values})


def fail(delivery: Any, text: str = "it broke", trace: str = "Traceback") -> Any:
    return Attempt.objects.create(
        delivery=delivery,
        number=1,
        worker="host:1",
        finished_at=timezone.now(),
        error_class="ValueError",
        error_text=text,
        traceback=trace,
    )


def beat() -> Any:
    now = timezone.now()
    about = {"hostname": "host", "pid": 1, "version": "0"}
    return RelayHeartbeat.objects.create(name="host:1", started_at=now, beat_at=now, **about)


def user(*permissions: str, **values: Any) -> Client:
    made = User.objects.create_user(username=uuid4().hex, is_staff=True, **values)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(made)
    return client


def shown(client: Client, model: str, **query: Any) -> int:
    """Return how many rows a list shows."""
    answer = client.get(address(model), query)
    assert answer.status_code == 200
    return len(answer.context["cl"].result_list)


# Who may look, and that nobody may do more


@pytest.fixture
def rows() -> dict[str, Any]:
    delivery = deliver(publish(Noted("a")).id)
    fail(delivery)
    return {"outboxevent": delivery.event, "delivery": delivery, "relayheartbeat": beat()}


@pytest.mark.parametrize("model", LISTS)
def test_whoever_may_view_sees_the_list_and_the_row(model: str, rows: dict[str, Any]):
    client = user(f"view_{model}")
    assert shown(client, model) == 1
    page = client.get(address(model, f"{rows[model].pk}/change/"))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content


@pytest.mark.parametrize("model", LISTS)
def test_whoever_may_not_view_sees_nothing(model: str, rows: dict[str, Any]):
    client = user(*[f"{verb}_{model}" for verb in ("add", "delete")])
    assert client.get(address(model)).status_code == 403
    assert client.get(address(model, f"{rows[model].pk}/change/")).status_code == 403
    assert Client().get(address(model)).status_code == 302


@pytest.mark.parametrize("model", LISTS)
def test_not_even_a_superuser_adds_changes_or_deletes(model: str, rows: dict[str, Any]):
    client = user(is_superuser=True)
    pk = rows[model].pk
    assert client.get(address(model, "add/")).status_code == 403
    assert client.post(address(model, "add/"), {}).status_code == 403
    assert client.post(address(model, f"{pk}/change/"), {"status": "dead"}).status_code == 403
    assert client.post(address(model, f"{pk}/delete/"), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    client.post(address(model), chosen)
    assert type(rows[model]).objects.filter(pk=pk).exists()
    rows["delivery"].refresh_from_db()
    assert rows["delivery"].status == "succeeded"


def test_no_list_offers_an_action_to_whoever_may_only_view(rows: dict[str, Any]):
    client = user(*[f"view_{model}" for model in LISTS])
    assert all(b'name="action"' not in client.get(address(m)).content for m in LISTS)


def test_no_list_offers_an_action_of_the_whole_site(
    rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    action: Any = print
    monkeypatch.setitem(admin.site._actions, "shout", action)
    client = user(is_superuser=True)
    assert b"shout" in client.get("/admin/auth/user/").content
    assert all(b"shout" not in client.get(address(m)).content for m in LISTS)


def test_rows_of_another_list_are_shown_only_to_whoever_may_view_them(rows: dict[str, Any]):
    page = address("outboxevent", f"{rows['outboxevent'].pk}/change/")
    assert b"testapp.behave" not in user("view_outboxevent").get(page).content
    assert b"testapp.behave" in user("view_outboxevent", "view_delivery").get(page).content
    page = address("delivery", f"{rows['delivery'].pk}/change/")
    assert b"it broke" not in user("view_delivery").get(page).content
    assert b"it broke" in user("view_delivery", "view_attempt").get(page).content


# What is masked


def test_values_of_redacted_fields_are_masked_wherever_they_stand(admin_client: Client):
    """G9: in the payload, the headers and the texts of errors, old ones too."""
    event_id = publish(
        "test.paid",
        {"card": {"number": "4111-1111"}, "list": [{"card": "4222-2222"}], "note": "visible"},
        headers={"token": "t0psecret", "tenant": "north"},
    ).id
    text = "no 4111-1111 nor 4222-2222, t0psecret"
    delivery = deliver(event_id, status="dead", error_text=text)
    fail(delivery, text=text, trace=f"Traceback\n{text}")
    pages = [
        address("outboxevent", f"{delivery.event_id}/change/"),
        address("delivery", f"{delivery.pk}/change/"),
        address("outboxevent"),
        address("delivery"),
    ]
    secrets = ("4111-1111", "4222-2222", "t0psecret")
    before = "".join(admin_client.get(page).content.decode() for page in pages)
    assert all(secret in before for secret in secrets)
    with override_settings(EDA_DJANGO={"REDACT": ["card", "token"]}):
        after = "".join(admin_client.get(page).content.decode() for page in pages)
    assert [secret for secret in secrets if secret in after] == []
    assert "visible" in after
    assert "north" in after
    assert after.count("no *** nor ***, ***") == 4


def test_a_payload_is_shown_as_text_and_never_as_markup(admin_client: Client):
    event_id = publish(Noted("<script>alert(1)</script>é🎁")).id
    delivery = deliver(event_id, error_text="<b>x</b>")
    fail(delivery, text="<i>y</i>", trace="<u>z</u>")
    for model, pk in (("outboxevent", delivery.event_id), ("delivery", delivery.pk)):
        content = admin_client.get(address(model, f"{pk}/change/")).content.decode()
        assert not re.search("<script>alert|<b>x|<i>y|<u>z", content)
    page = admin_client.get(address("outboxevent", f"{delivery.event_id}/change/"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;é🎁" in page.content.decode()


# Filters and search


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


STRANGE = ["\x00", "a\x00b", "9" * 30, "9" * 18, "-1", "²", "٣", "a" * 10_000, "%", "'", '"', "\\"]
STRANGE += ["\ud800", "0x10", "1e5", "{}", "🎁", "\u202e", "00000000-0000-0000-0000-00000000000g"]


@pytest.mark.parametrize("model", ["outboxevent", "delivery"])
@pytest.mark.parametrize("field", ["q", "type", "subscriber", "status", "state", "p", "o", "e"])
def test_strange_input_finds_nothing_and_breaks_nothing(
    admin_client: Client, model: str, field: str
):
    publish(Noted("a"))
    for text in STRANGE:
        encoded = {field: text.encode("utf-8", "surrogatepass")}
        assert admin_client.get(address(model), encoded, follow=True).status_code == 200


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30, "-1", "_00", "1_2F"])
@pytest.mark.parametrize("model", LISTS)
def test_a_row_that_is_not_there_is_told_and_breaks_nothing(
    admin_client: Client, model: str, pk: str
):
    answer = admin_client.get(address(model, f"{pk}/change/"), follow=True)
    assert answer.status_code == 200
    assert b"exist" in answer.content


# What it costs


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
    ("delivery", {"status": "dead", "subscriber": "testapp.behave"}),
    ("delivery", {"p": "1"}),
]


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
    assert len(sql(admin_client, page())) == len(few) <= 10


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


def test_the_newest_stand_first(admin_client: Client):
    publish_many([Noted(str(n)) for n in range(3)], key=lambda payload: payload.text)
    answer = admin_client.get(address("outboxevent"))
    assert [row.key for row in answer.context["cl"].result_list] == ["2", "1", "0"]
