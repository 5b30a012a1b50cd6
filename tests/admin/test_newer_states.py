"""Deliveries in a state that only newer code knows: shown as they are, on every page."""

import pytest

from eda_django.events import current_event
from eda_django.models import Delivery
from eda_django.models.progress import Progress, progress_of
from tests.console import VIEW, dead, event_row, operator, text, url

pytestmark = pytest.mark.django_db

BADGE = '<span class="eda-badge eda-quiet">paused</span>'


@pytest.mark.parametrize("name", ["outboxevent_changelist", "delivery_changelist"])
def test_a_list_shows_a_state_of_newer_code_as_it_is_stored(name: str) -> None:
    dead(status="paused")
    assert BADGE in text(operator(*VIEW), url(name))


def test_the_pages_of_an_event_and_of_what_it_caused_show_a_state_of_newer_code() -> None:
    row = dead(status="paused")
    token = current_event.set(row.event.envelope(None))
    caused = event_row("b")
    current_event.reset(token)
    client = operator(*VIEW)
    for page in (url("outboxevent_change", row.event_id), url("outboxevent_change", caused.pk)):
        assert BADGE in text(client, page)
    assert BADGE in text(client, url("delivery_change", row.pk))


@pytest.mark.parametrize("name", ["overview_changelist", "failure_changelist"])
def test_figures_are_shown_beside_a_state_of_newer_code(name: str) -> None:
    dead(status="paused")
    assert operator(*VIEW).get(url(name)).status_code == 200


@pytest.mark.parametrize(
    ("others", "worst", "done"),
    [
        ([], "paused", 0),
        (["succeeded"], "paused", 1),
        (["discarded", "parked"], "parked", 1),
        (["waiting", "succeeded"], "waiting", 1),
        (["dead"], "dead", 0),
    ],
)
def test_a_state_of_newer_code_is_worse_than_an_end_and_no_worse_than_what_is_to_do(
    others: list[str], worst: str, done: int
) -> None:
    row = dead(status="paused")
    for status in others:
        dead(f"t.{status}", event=row.event, status=status)
    progress = progress_of([row.event_id], Delivery.objects.db)
    expected = Progress(done=done, total=1 + len(others), worst=worst)
    assert progress == {row.event_id: expected}
