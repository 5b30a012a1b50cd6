"""Failed attempts on a page: the latest, and in words that there are more."""

import re
from typing import Any

import pytest
from django.utils import timezone

from eda_django.admin.attempts import MAX_ATTEMPTS
from eda_django.models import Attempt, Delivery
from tests.console import VIEW, dead, operator, text, url

pytestmark = pytest.mark.django_db


def failed(delivery: Delivery, count: int) -> None:
    """Have that many attempts of a delivery failed."""
    Attempt.objects.filter(delivery=delivery).delete()
    Attempt.objects.bulk_create(
        Attempt(delivery=delivery, number=n + 1, worker="w", finished_at=timezone.now())
        for n in range(count)
    )


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (MAX_ATTEMPTS - 1, []),
        (MAX_ATTEMPTS, []),
        (MAX_ATTEMPTS + 1, ["1 older attempt is not shown."]),
        (MAX_ATTEMPTS + 12, ["12 older attempts are not shown."]),
    ],
)
def test_a_delivery_tells_how_many_failed_attempts_it_does_not_show(
    count: int, said: list[str]
) -> None:
    row = dead()
    failed(row, count)
    failed(dead("testapp.mail", event=row.event), 3)
    page = text(operator(*VIEW), url("delivery_change", row.pk))
    assert page.count('class="eda-attempt"') == min(count, MAX_ATTEMPTS)
    assert f"Attempt {count}," in page
    assert re.findall(r"\d+ older attempts? (?:is|are) not shown\.", page) == said


def test_an_event_tells_it_of_all_its_deliveries_together() -> None:
    row = dead()
    failed(row, MAX_ATTEMPTS - 1)
    failed(dead("testapp.mail", event=row.event), 1)
    failed(dead(), 9)
    client, address = operator(*VIEW), url("outboxevent_change", row.event_id)
    assert "not shown" not in text(client, address)
    failed(dead("testapp.audit", event=row.event), 2)
    assert "2 older failed attempts are not shown; a delivery's page has more." in text(
        client, address
    ).replace("&#x27;", "'")


def test_who_may_not_see_attempts_is_told_nothing_of_them() -> None:
    row = dead()
    failed(row, MAX_ATTEMPTS + 1)
    client = operator("view_delivery", "view_outboxevent")
    for page in (url("delivery_change", row.pk), url("outboxevent_change", row.event_id)):
        assert "not shown" not in text(client, page)


def test_who_may_not_see_attempts_reads_no_text_of_an_error_on_any_page() -> None:
    """Nor a frame: that is of the attempt's traceback. The class is on every list."""
    row = dead()
    group = f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}"
    anyone, viewer = operator("view_delivery", "view_outboxevent"), operator(*VIEW)
    for page in (
        url("delivery_change", row.pk),
        url("outboxevent_change", row.event_id),
        url("failure_changelist"),
        group,
    ):
        assert "no rate" in text(viewer, page), page
        assert "no rate" not in text(anyone, page), page
        assert "services.py" not in text(anyone, page), page
        assert "ValueError" in text(anyone, page).replace("<wbr>", ""), page


def test_an_event_of_many_deliveries_says_so_and_leads_to_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eda_django.admin.events.MAX_DELIVERIES", 2)
    row = dead()
    for name in ("a", "b", "c"):
        dead(f"testapp.{name}", event=row.event)
    client = operator(*VIEW)
    page: Any = client.get(url("outboxevent_change", row.event_id))
    assert len(page.context["deliveries"]) == 2
    rest = f"{url('delivery_changelist')}?q={row.event.event_id}"
    assert f'<a href="{rest}">2 more deliveries</a>' in page.content.decode()
    assert "Fanned out to 4 subscriptions" in page.content.decode()
    assert client.get(rest).context["cl"].result_count == 4
