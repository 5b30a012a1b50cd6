"""publish_many(): all events or none."""

import pytest

from eda_django import InvalidEvent, publish_many
from eda_django.models import OutboxEvent
from tests.outbox.publishing import texts
from tests.testapp.events import Noted


@pytest.mark.django_db
def test_publish_many_takes_payloads_and_pairs_and_keeps_their_order():
    sent = publish_many(
        (
            Noted("a"),
            ("legacy.noted", {"text": "b"}),
            (Noted, {"text": "c"}),
        ),
        key=lambda payload: getattr(payload, "text", "dict"),
        headers={"batch": 1},
        correlation_id="c-1",
    )
    rows = list(OutboxEvent.objects.order_by("id"))
    assert [row.event_id for row in rows] == [e.id for e in sent]
    assert [row.type for row in rows] == ["testapp.noted", "legacy.noted", "testapp.noted"]
    assert [row.key for row in rows] == ["a", "dict", "dict"]
    assert [row.headers for row in rows] == [{"batch": 1}] * 3
    assert {row.correlation_id for row in rows} == {"c-1"}


@pytest.mark.django_db
def test_publish_many_takes_an_iterator_and_publishes_all_or_none():
    with pytest.raises(InvalidEvent, match="field 'text' is declared as str") as caught:
        publish_many(Noted(text) for text in ("a", 5))  # type: ignore[arg-type]
    assert caught.value.__notes__ == [
        "It is number 1 of what is published together, counted from 0."
    ]
    assert texts() == []
    publish_many(Noted(text) for text in "ab")
    assert texts() == ["a", "b"]


@pytest.mark.django_db
def test_publish_many_takes_no_key_for_all_of_them():
    with pytest.raises(InvalidEvent) as caught:
        publish_many([Noted("a")], key="k")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "publish_many() needs a function as key, which gets each payload and returns its key, "
        "not 'k' (str)."
    )
    assert texts() == []
