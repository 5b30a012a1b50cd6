"""The catalogue: who publishes what to whom."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from eda_django import publish, publishes
from eda_django.admin.drawing import drawing
from eda_django.models import OutboxEvent, statistics
from eda_django.registry import registry
from tests.console import VIEW, operator, text, url
from tests.testapp.events import Noted

pytestmark = pytest.mark.django_db


@pytest.fixture
def declared() -> Iterator[None]:
    published = {name: set(paths) for name, paths in registry.published.items()}
    yield
    registry.published.clear()
    registry.published.update(published)


@pytest.mark.usefixtures("declared")
def test_the_catalogue_has_types_publishers_subscriptions_and_volume() -> None:
    @publishes(Noted)
    def note() -> Noted:
        return Noted("x")

    note()
    publish("gone.by", {})
    page = operator(*VIEW).get(url("catalogueentry_changelist"))
    entries = {entry.name: entry for entry in page.context["entries"]}
    noted = entries["testapp.noted"]
    assert noted.fields == ("text: str", "behave: str")
    assert any(path.endswith("<locals>.note") for path in noted.publishers)
    assert "testapp.behave" in noted.subscribers
    assert noted.count == 1
    assert noted.last_seen is not None
    assert [entry.name for entry in page.context["undeclared"]] == ["gone.by"]
    assert "testapp.bill" in {s.name for s in page.context["idle"]}
    assert "testapp.order_placed" in entries


def test_the_catalogue_tells_what_waits_for_newer_code_and_what_was_seen_long_ago() -> None:
    publish("gone.by", {})
    OutboxEvent.objects.update(
        available_at=timezone.now(), error="no code", time=timezone.now() - timedelta(days=9)
    )
    page = operator(*VIEW).get(url("catalogueentry_changelist"))
    (entry,) = page.context["waiting"]
    assert (entry.name, entry.aside) == ("gone.by", "1")
    assert entry.last_seen is not None


def test_what_was_not_counted_to_its_end_is_told_as_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(2):
        publish("gone.by", {})
    OutboxEvent.objects.update(
        available_at=timezone.now(), error="no code", time=timezone.now() - timedelta(days=9)
    )
    publish(Noted("a"))
    publish("test.plain", {})

    def shown() -> str:
        return text(operator(*VIEW), url("catalogueentry_changelist"))

    assert "or more" not in shown()
    assert "or later" not in shown()
    # Of a type that was not seen of late no more than a tenth is looked at.
    monkeypatch.setattr(statistics, "MOST", 20)
    assert shown().count("or later") == 1
    monkeypatch.setattr(statistics, "MOST", 2)
    page = shown()
    assert "</a> (2 or more)" in page
    assert page.count("<td>1 or more</td>") == 2
    assert "<td>0 or more</td>" in page


def test_who_publishes_what_to_whom_is_drawn_for_fifty_types() -> None:
    types = {f"app.type_{n}": ([f"p{n // 3}"], [f"s{n}", f"s{(n * 7) % 50}"]) for n in range(50)}
    drawn = drawing(types)
    places = [(box.x, box.y) for box in drawn.boxes]
    assert len(places) == len(set(places))
    for x in {place for place, _ in places}:
        heights = sorted(y for place, y in places if place == x)
        assert (
            min(b - a for a, b in zip(heights, heights[1:], strict=False)) >= drawn.boxes[0].height
        )
    assert all(0 <= box.y <= drawn.height - box.height for box in drawn.boxes)


def test_who_gets_everything_stands_in_the_middle_of_the_drawing() -> None:
    """Not where its first type stands: its lines would cross all others."""
    types: dict[str, tuple[list[str], list[str]]] = {
        f"app.type_{n}": ([], ["audit", f"s{n}"]) for n in range(9)
    }
    found = [box.name for box in drawing(types).boxes if box.kind == "subscriber"]
    assert found == ["s0", "s1", "s2", "s3", "audit", *(f"s{n}" for n in range(4, 9))]


def test_the_fields_of_a_type_take_no_room_until_they_are_asked_for() -> None:
    page = text(operator(*VIEW), url("catalogueentry_changelist"))
    assert "<details><summary>Fields</summary><code>text: str</code>" in page
    assert '<th scope="col">Fields</th>' not in page
