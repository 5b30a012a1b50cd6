"""What operators do to everything that a filter matches."""

import pytest

from eda_django.models import BulkOperation, Delivery
from eda_django.models.selection import Selection
from eda_django.relay import Relay
from tests.admin.acting import log, status
from tests.console import VIEW, dead, event_row, operator, retrying, said, url
from tests.relaying import Recorder

pytestmark = pytest.mark.django_db


def test_everything_that_the_filter_matches_is_done_by_a_relay_and_shown() -> None:
    rows = [dead() for _ in range(3)]
    other = dead("testapp.mail")
    client = operator(*VIEW, "discard_delivery")
    data = {"verb": "discard", "query": "status=dead&subscriber=testapp.behave"}
    asked = client.post(url("delivery_act_on_all"), data)
    assert b"status=dead, subscriber=testapp.behave" in asked.content
    assert b"Say why" in client.post(url("delivery_act_on_all"), {**data, "confirmed": 1}).content
    assert not BulkOperation.objects.exists()
    client.post(url("delivery_act_on_all"), {**data, "confirmed": 1, "reason": "obsolete"})
    operation = BulkOperation.objects.get()
    page = url("bulkoperation_change", operation.pk)
    assert b"No relay runs" in client.get(page).content
    Relay(transport=Recorder()).drain()
    content = client.get(page).content.decode()
    assert "3 deliveries were discarded." in content
    assert "100 %" in content
    assert status(other) == "dead"
    assert [status(row) for row in rows] == ["discarded"] * 3
    expected = "Discarded: obsolete (status=dead, subscriber=testapp.behave)"
    assert log() == [(str(operation.pk), expected)]


def test_the_list_and_the_operation_mean_the_same() -> None:
    """What was seen is what is acted on."""
    event = event_row(key="order-7")
    dead(event=event)
    dead("testapp.mail", event=event, queue="slow")
    retrying()
    client = operator(*VIEW, "retry_delivery")
    for query in ("status=retrying", "queue=slow", "q=order-7", f"q={event.event_id}", "age=hour"):
        seen = client.get(f"{url('delivery_changelist')}?{query}").context["cl"].result_list
        client.post(url("delivery_act_on_all"), {"verb": "retry", "query": query, "confirmed": 1})
        operation = BulkOperation.objects.latest("pk")
        chosen = Selection.of(operation.selection).among(Delivery.objects.all())
        assert {row.pk for row in chosen} == {row.pk for row in seen}, query


def test_an_operation_is_cancelled_by_whoever_may_begin_one() -> None:
    dead()
    client = operator(*VIEW, "retry_delivery")
    data = {"verb": "retry", "query": "status=dead", "confirmed": 1}
    client.post(url("delivery_act_on_all"), data)
    cancel = url("bulkoperation_cancel", BulkOperation.objects.get().pk)
    assert operator(*VIEW).post(cancel).status_code == 403
    assert client.get(cancel).status_code == 403
    assert said(client.post(cancel, follow=True)) == ["Cancelled. What was done stays done."]
    assert said(client.post(cancel, follow=True)) == ["It had ended already."]
    assert BulkOperation.objects.get().status == "cancelled"
