"""The console on a second admin site: whatever it leads to is on that site as well."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from eda_django.models import BulkOperation, FailureNote, OutboxEvent
from tests.admin.acting import status
from tests.console import beat, dead, event_row, operator, retrying

HOME = "/backoffice/eda_django"
SETTINGS = {"SOURCE": "tests", "EDIT_AND_RESEND": True}

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Any:
    with override_settings(ROOT_URLCONF="tests.admin.backoffice", EDA_DJANGO=SETTINGS):
        yield operator(is_superuser=True)


def shown(client: Client, page: str) -> str:
    """Return a page, of which no link leaves the site."""
    answer = client.get(page)
    assert answer.status_code == 200
    content = answer.content.decode()
    assert set(re.findall(r'(?:href|action)="(/admin/[^"]*)"', content)) == set()
    return content


def led(client: Client, page: str, **values: Any) -> str:
    """Return where a form leads to, which can be shown."""
    answer = client.post(f"{HOME}/{page}", values)
    assert answer.status_code == 302
    shown(client, answer["Location"])
    return str(answer["Location"])


def test_every_page_leads_to_pages_of_its_site(client: Client) -> None:
    row, relay = dead(), beat(3_000)
    dead(status="pending", attempts=0, due_at=timezone.now(), error_class="eda_django.Unpushable")
    retrying()
    names = ("overview", "outboxevent", "delivery", "failure", "catalogueentry", "bulkoperation")
    for name in (*names, "relayheartbeat"):
        shown(client, f"{HOME}/{name}/")
    for name, pk in (("outboxevent", row.event_id), ("delivery", row.pk)):
        for part in ("change", "history"):
            assert f'"{HOME}/{name}/' in shown(client, f"{HOME}/{name}/{pk}/{part}/")
    shown(client, f"{HOME}/relayheartbeat/{relay.pk}/change/")
    for verb in ("resend", "edit"):
        shown(client, f"{HOME}/outboxevent/{row.event_id}/{verb}/")
    for page in (f"{HOME}/", f"{HOME}/overview/"):
        content = shown(client, page)
        for link in ("failure/", "delivery/?error_class=aside", "outboxevent/"):
            assert f'"{HOME}/{link}' in content
    assert f'"{HOME}/delivery/act-on-all/"' in shown(client, f"{HOME}/delivery/?status=dead")
    missing = client.get(f"{HOME}/delivery/{row.pk + 99}/change/")
    assert missing["Location"] == "/backoffice/"


def test_what_the_overview_complains_of_is_a_link_to_its_site(client: Client) -> None:
    row = event_row()
    late = {"relayed_at": None, "time": timezone.now() - timedelta(days=3)}
    OutboxEvent.objects.update(**late)
    assert f'"{HOME}/outboxevent/{row.pk}/change/"' in shown(client, f"{HOME}/")
    OutboxEvent.objects.update(available_at=timezone.now(), error="no code")
    assert f'"{HOME}/outboxevent/?state=aside"' in shown(client, f"{HOME}/")


def test_every_form_leads_to_a_page_of_its_site(client: Client) -> None:
    row = dead()
    event = f"outboxevent/{row.event_id}"
    group = {"subscriber": row.subscriber, "fingerprint": row.fingerprint}
    page = f"{HOME}/failure/group/"
    assert led(client, "failure/note/", **group, text="ask Ada").startswith(page)
    assert FailureNote.objects.get().text == "ask Ada"
    one = led(client, "failure/canary/", **group, verb="retry", pk=row.pk)
    assert one == f"{HOME}/delivery/{row.pk}/change/"
    assert status(row) == "pending"
    row = dead()
    assert led(client, "failure/canary/", **group, verb="retry", pk=0).startswith(page)
    yes = {"confirmed": "yes", "reason": "r"}
    assert (
        page in client.post(f"{HOME}/failure/act/", {**group, "verb": "discard"}).content.decode()
    )
    for _ in range(2):
        # The second finds nothing left.
        assert led(client, "failure/act/", **group, verb="discard", **yes) == f"{HOME}/failure/"
    act = led(client, "delivery/act/", verb="discard", ids=[row.pk], **yes)
    assert act == f"{HOME}/delivery/"
    for query, there in (("status=dead", "bulkoperation/1"), ("status=%00", "delivery/")):
        found = led(client, "delivery/act-on-all/", verb="retry", query=query, **yes)
        number = BulkOperation.objects.get().pk
        assert found.startswith(f"{HOME}/{there.replace('/1', f'/{number}')}")
    assert led(client, f"bulkoperation/{number}/cancel/").startswith(f"{HOME}/bulkoperation/")
    seen = re.findall('name="seen" value="([^"]+)"', shown(client, f"{HOME}/{event}/resend/"))
    chosen = {"subscribers": ["testapp.behave"], "seen": seen}
    assert led(client, f"{event}/resend/", **chosen) == f"{HOME}/{event}/change/"
    copy = {"payload": '{"text": "x", "behave": ""}', "reason": "r", "once": uuid4()}
    assert led(client, f"{event}/edit/", **copy).startswith(f"{HOME}/outboxevent/")
