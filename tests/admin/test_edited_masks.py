"""Edit and resend publishes no mask, and nobody's private value with somebody else's data."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings

from eda_django import publish
from eda_django.models import OutboxEvent
from tests.console import VIEW, operator, said, url

pytestmark = pytest.mark.django_db

ITEMS = [{"n": 1, "card": "AAAA"}, {"n": 2, "card": "BBBB"}]
TOLD_HIDDEN = (
    "Field %s has a mask that names no value of this event. Leave it as the form had it, "
    "address and all, or write the value itself."
)
TOLD_OPEN = (
    "Field %s has the mask of a value that is not to be shown, and is a field that is shown. "
    "Move the mask back, or take it out."
)


@pytest.fixture(autouse=True)
def editing() -> Any:
    about = {"SOURCE": "tests", "EDIT_AND_RESEND": True, "REDACT": ["card"]}
    with override_settings(EDA_DJANGO=about):
        yield


@pytest.fixture
def client() -> Client:
    return operator(*VIEW, "edit_outboxevent")


def post(client: Client, change: Callable[[list[Any]], Any]) -> Any:
    """Publish the items, and send the form of their event with the items as changed."""
    row = OutboxEvent.objects.get(event_id=publish("untyped.thing", {"items": ITEMS}).id)
    page = url("outboxevent_edit", row.pk)
    shown = client.get(page)
    assert b"AAAA" not in shown.content
    tree = json.loads(shown.context["form"]["payload"].value())
    sent = json.dumps({"items": change(tree["items"])})
    return client.post(page, {"once": uuid4(), "payload": sent, "reason": "r"}, follow=True)


@pytest.mark.parametrize(
    ("change", "published"),
    [
        (lambda items: items, ITEMS),
        (lambda items: items[1:], ITEMS[1:]),
        (lambda items: items[::-1], ITEMS[::-1]),
        (lambda items: [{"n": 3, "card": "CCCC"}, *items], [{"n": 3, "card": "CCCC"}, *ITEMS]),
        (lambda items: {"second": items[1]}, {"second": ITEMS[1]}),
    ],
    ids=["as it is", "the first taken out", "swapped", "one put before", "moved"],
)
def test_each_masked_value_goes_with_its_own_item(
    client: Client, change: Any, published: Any
) -> None:
    assert "Published as a new event" in said(post(client, change))[0]
    assert OutboxEvent.objects.latest("pk").data == {"items": published}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda items: [{"pan": items[0]["card"]}], TOLD_OPEN % "items.0.pan"),
        (lambda items: [items[0], {"card": "***"}], TOLD_HIDDEN % "items.1.card"),
        (lambda items: [{"card": f"{items[0]['card']}5"}], TOLD_HIDDEN % "items.0.card"),
    ],
    ids=["renamed to what is shown", "without its address", "half overwritten"],
)
def test_a_mask_that_can_not_come_back_for_certain_is_told_and_published_nowhere(
    client: Client, change: Any, told: str
) -> None:
    answer = post(client, change)
    assert answer.context["form"].errors == {"payload": [told]}
    assert b"AAAA" not in answer.content
    assert OutboxEvent.objects.count() == 1


def test_every_field_whose_mask_can_not_come_back_is_told(client: Client) -> None:
    answer = post(client, lambda items: [{"pan": items[0]["card"], "card": "***"}])
    told = [TOLD_OPEN % "items.0.pan", TOLD_HIDDEN % "items.0.card"]
    assert answer.context["form"].errors == {"payload": told}
