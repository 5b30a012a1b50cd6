"""Each action needs its own permission, a form of this site, and numbers that there are."""

import pytest
from django.test import Client

from tests.admin.acting import VERBS, log, post, status
from tests.console import ACTIONS, VIEW, dead, operator, said, url

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_may_only_view_sees_no_action_and_can_call_none(verb: str) -> None:
    row = dead()
    client = operator(*VIEW)
    for page in (
        url("delivery_changelist"),
        url("delivery_change", row.pk),
        url("outboxevent_change", row.event_id),
        url("failure_changelist"),
        f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}",
    ):
        content = client.get(page).content
        assert b'name="verb"' not in content
        assert b"/resend/" not in content
    assert post(client, verb, row, confirmed="yes", reason="r").status_code == 403
    group = {"subscriber": row.subscriber, "fingerprint": row.fingerprint}
    wanted = {"verb": verb, "confirmed": "yes", "reason": "r", **group}
    for name in ("failure_canary", "failure_act", "delivery_act_on_all"):
        assert client.post(url(name), wanted).status_code == 403
    assert client.post(url("failure_note"), {**group, "text": "x"}).status_code == 403
    form = {"action": verb, "_selected_action": [row.pk]}
    client.post(url("delivery_changelist"), form)
    assert status(row) == "dead"
    assert log() == []


@pytest.mark.parametrize("verb", VERBS)
def test_one_permission_does_not_give_another(verb: str) -> None:
    others = [name for own, name in VERBS.items() if own != verb]
    row = dead()
    client = operator(*VIEW, *others)
    assert post(client, verb, row, confirmed="yes", reason="r").status_code == 403
    assert status(row) == "dead"


def test_whoever_may_act_but_not_look_can_do_nothing() -> None:
    row = dead()
    client = operator(*ACTIONS, "resend_outboxevent")
    assert post(client, "retry", row).status_code == 403
    assert client.post(url("outboxevent_resend", row.event_id), {}).status_code == 403


@pytest.mark.parametrize(
    "name", ["delivery_act", "delivery_act_on_all", "failure_canary", "failure_act"]
)
def test_nothing_is_changed_by_a_link(name: str) -> None:
    row = dead()
    client = operator(is_superuser=True)
    query = {"verb": "retry", "ids": row.pk, "confirmed": "yes", "subscriber": row.subscriber}
    assert client.get(url(name), {**query, "fingerprint": row.fingerprint}).status_code == 403
    assert status(row) == "dead"


def test_forms_of_other_sites_are_refused() -> None:
    row = dead()
    client = operator(is_superuser=True)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(url("delivery_act"), {"verb": "retry", "ids": row.pk}).status_code == 403
    assert status(row) == "dead"


def test_the_way_back_does_not_lead_to_another_host() -> None:
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "ids": row.pk, "back": "https://evil.example/"}
    assert client.post(url("delivery_act"), data)["Location"] == url("delivery_changelist")
    data = {"verb": "retry", "ids": row.pk, "back": "//evil.example/"}
    assert client.post(url("delivery_act"), data)["Location"] == url("delivery_changelist")


@pytest.mark.parametrize("ids", ["x", "-1", "9" * 30, "\x00", "²"])
def test_strange_numbers_are_no_deliveries(ids: str) -> None:
    client = operator(*VIEW, "retry_delivery")
    answer = client.post(url("delivery_act"), {"verb": "retry", "ids": ids}, follow=True)
    assert answer.status_code == 200
    assert said(answer) == ["0 deliveries are retried."]
