"""The lists show, to whoever may look, what is not masked, and never change anything."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.formats import date_format

from eda_django import publish
from eda_django.admin.display import breakable
from eda_django.models import OutboxEvent, RelayHeartbeat
from tests.admin.lists import LISTS, address, deliver, fail, shown
from tests.console import VIEW, dead, event_row, operator, text, url
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


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
    name = breakable("testapp.behave").encode()
    assert name not in user("view_outboxevent").get(page).content
    assert name in user("view_outboxevent", "view_delivery").get(page).content
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


def test_the_states_to_choose_from_are_those_that_a_delivery_can_be_in():
    """Nothing is "waiting" in this version, and what has failed has a choice of its own."""
    page = user("view_delivery").get(address("delivery"))
    [spec] = [spec for spec in page.context["cl"].filter_specs if spec.title == "state"]
    assert [label for _, label in spec.lookup_choices] == [
        "Pending",
        "Queued",
        "Running",
        "Succeeded",
        "Dead",
        "Discarded",
        "Retrying",
    ]


def test_a_queued_delivery_shows_since_when_its_event_waits() -> None:
    for number in range(2):
        row = dead(
            event=event_row(str(number)),
            status="queued",
            started_at=None,
            finished_at=None,
            lease_until=timezone.now(),
            token=uuid4(),
        )
    at = date_format(timezone.localtime(row.event.time), "DATETIME_FORMAT")
    page = user("view_delivery").get(address("delivery")).content.decode()
    assert f"published {at}" in page
    assert page.count("published ") == 2


def test_the_list_of_events_begins_with_what_a_phone_has_room_for() -> None:
    row = event_row(key="order-7")
    OutboxEvent.objects.filter(pk=row.pk).update(
        relayed_at=None, available_at=timezone.now(), error="no code"
    )
    page = text(operator(*VIEW), url("outboxevent_changelist"))
    body = page[page.index('id="result_list"') :]
    cells = re.findall(r'<t[hd] class="field-(\w+)[^"]*"', body)
    assert cells == ["type", "worst", "done", "time", "event_id"]
    assert '<br><span class="quiet">order-7</span></a>' in body
    assert 'Set aside</span><br><span class="quiet">no code</span></td>' in body
