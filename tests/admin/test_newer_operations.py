"""Bulk operations that newer code has begun: seen as they are, and never taken for another."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override

from eda_django.admin.history import translated
from eda_django.models import BulkOperation
from eda_django.models.past_operations import past_operations
from eda_django.relay import Relay
from tests.admin.acting import log, status
from tests.console import ACTIONS, VIEW, dead, operator, said, text, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


def begun(client: Client) -> Any:
    """Have everything that is dead retried, by a relay that has not come to it yet."""
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    return BulkOperation.objects.latest("pk")


def told_of(row: Any) -> list[int]:
    """Return the operations that the delivery's page tells of."""
    row.refresh_from_db()
    return [operation.pk for operation, _rows in past_operations(row.event, [row])]


def test_an_operation_of_newer_code_is_shown_as_it_is_stored() -> None:
    """Read in part its filter would say too much, and so would a number."""
    dead()
    client = operator(*VIEW, "retry_delivery")
    operation = begun(client)
    BulkOperation.objects.update(selection={"status": "dead", "tenant": "ada"})
    stored = "{&quot;status&quot;: &quot;dead&quot;, &quot;tenant&quot;: &quot;ada&quot;}"
    page = text(client, url("bulkoperation_change", operation.pk))
    assert f"<dt>Deliveries</dt><dd>{stored}</dd>" in page
    assert "<dt>Left to do</dt><dd>–</dd>" in page
    assert stored in text(client, url("bulkoperation_changelist"))
    client.post(url("bulkoperation_cancel", operation.pk))
    told = "Cancelled: done to 0, passed over 0, left ?."
    assert log()[-1][1] == told
    with override("de"):
        assert translated(told) == "Abgebrochen: getan mit 0, übergangen 0, übrig ?."


@pytest.mark.parametrize(
    "selection",
    [
        {"status": ["dead", "pending"]},
        {"until_event": "x"},
        {"until_event": True},
        {"search": 5},
        {"subscriber": None},
        ["dead"],
        "dead",
    ],
    ids=str,
)
def test_an_operation_whose_filter_has_other_values_than_this_code_knows_is_left_to_newer_code(
    selection: Any,
) -> None:
    """It neither stops the relay, nor what other operations there are, nor a page."""
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    newer = begun(client)
    BulkOperation.objects.update(selection=selection)
    begun(client)
    relay = Relay(transport=Recorder())
    relay.operate()
    assert status(row) == "pending"
    relay.operate()
    newer.refresh_from_db()
    assert (newer.status, newer.changed, newer.left()) == ("running", 0, None)
    assert client.get(url("bulkoperation_changelist")).status_code == 200
    assert client.get(url("delivery_change", row.pk)).status_code == 200
    answer = client.get(url("bulkoperation_change", newer.pk))
    assert answer.context["selected"] == json.dumps(selection)
    assert "only a relay of the newer code does it" in answer.content.decode()
    client.post(url("bulkoperation_cancel", newer.pk))
    assert log()[-1][1] == "Cancelled: done to 0, passed over 0, left ?."


def test_an_operation_that_this_code_can_read_waits_for_no_newer_code() -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    page = url("bulkoperation_change", begun(client).pk)
    assert "newer code" not in text(client, page)


def test_an_operation_with_a_verb_of_newer_code_is_shown_and_told_as_such() -> None:
    """Not as the verb that this code would take it for; who may do all may stop it."""
    dead()
    client = operator(*VIEW, "retry_delivery")
    operation = begun(client)
    BulkOperation.objects.update(verb="postpone", changed=2)
    change = url("bulkoperation_change", operation.pk)
    page = client.get(change)
    assert page.context["title"] == f"postpone #{operation.pk}"
    assert page.context["outcome"] == "It was done to 2 deliveries."
    assert (page.context["may_cancel"], page.context["left"]) == (False, "")
    assert "<dt>Deliveries</dt><dd>state: Dead</dd>" in page.content.decode()
    cancel = url("bulkoperation_cancel", operation.pk)
    assert client.post(cancel).status_code == 403
    able = operator(*VIEW, *ACTIONS)
    assert able.get(change).context["may_cancel"]
    assert said(able.post(cancel, follow=True)) == ["Cancelled. What was done stays done."]
    assert log()[-1][1] == "Cancelled: done to 2, passed over 0, left ?."


def test_an_operation_with_a_verb_of_newer_code_is_not_told_of() -> None:
    """What it did, and to what, this code can't tell."""
    row = dead()
    client = operator(*VIEW, "retry_delivery")
    operation = begun(client)
    Relay(transport=Recorder()).operate()
    assert told_of(row) == [operation.pk]
    BulkOperation.objects.update(verb="postpone")
    assert told_of(row) == []
    assert client.get(url("delivery_change", row.pk)).status_code == 200
