"""How the console's pages look: what must be read on a phone, and what is not offered."""

import re
from pathlib import Path
from typing import Any

import django
import pytest

from eda_django import publish
from eda_django.admin.display import breakable
from eda_django.admin.traces import shortened
from eda_django.models import Attempt
from tests.console import ACTIONS, VIEW, dead, operator, retrying, text, url

pytestmark = pytest.mark.django_db


def test_a_traceback_names_files_as_they_are_imported() -> None:
    """Short enough for a telephone, and equal on every machine; other paths stay as they are."""
    here = str(Path(__file__).parent.parent.parent)
    library = Path(django.__file__).parent.parent
    trace = "\n".join(
        [
            "Traceback (most recent call last):",
            f'  File "{here}/example_project/gateway.py", line 55, in charge',
            f'    raise ValueError("{here}/x")',
            f'  File "{library}/django/db/models/query.py", line 1, in get',
            '  File "/opt/worker/lib/python3.12/site-packages/rq/job.py", line 2, in perform',
            f'  | File "{here}/tests/console.py", line 3, in <module>',
            '  File "/srv/elsewhere/billing.py", line 4, in vat',
        ]
    )
    assert re.findall('File "(.+?)"', shortened(trace)) == [
        "example_project/gateway.py",
        "django/db/models/query.py",
        "rq/job.py",
        "tests/console.py",
        "/srv/elsewhere/billing.py",
    ]
    assert f'ValueError("{here}/x")' in shortened(trace)


def test_names_break_after_dots_and_underscores_and_hide_nothing() -> None:
    assert breakable("shop.mail_sent") == "shop.<wbr>mail_<wbr>sent"
    assert breakable("<b>.") == "&lt;b&gt;."


def test_a_list_shows_the_class_of_an_error_and_keeps_its_module_at_hand() -> None:
    dead(error_class="shop.gateway.<b>.Gone")
    page = text(operator(*VIEW), url("delivery_changelist"))
    assert '<span title="shop.gateway.&lt;b&gt;.Gone">Gone</span>' in page


def test_a_group_offers_what_can_be_done_to_it() -> None:
    """Nothing waits among dead ones, and nothing is dead among those that wait."""
    client = operator(*VIEW, *ACTIONS)
    for row, word in ((dead(), "Retry"), (retrying(fingerprint="e" * 32), "Retry now")):
        page = f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}"
        found = re.findall(r"<button class=.button.>([^<]+?): all…", text(client, page))
        assert found == [word, "Discard"]


def test_a_list_without_a_search_has_no_field_for_one() -> None:
    client = operator(*VIEW)
    assert 'id="searchbar"' not in text(client, url("relayheartbeat_changelist"))
    assert 'id="searchbar"' in text(client, url("delivery_changelist"))


def test_a_drawing_has_numbers_for_browsers_however_a_site_writes_them_for_people(
    settings: Any,
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    for number in range(50):
        publish(f"a.type{number}", {})
    page = text(operator(*VIEW), url("catalogueentry_changelist"))
    (drawn,) = re.findall('<svg class="eda-drawing".*?</svg>', page)
    heights = [int(found) for found in re.findall(' (?:height|y)="([^"]*)"', drawn)]
    assert max(heights) > 1_000
    (box,) = re.findall('viewBox="([^"]*)"', drawn)
    assert [int(part) for part in box.split(" ")] == [0, 0, 880, max(heights)]


def test_ids_in_a_page_have_numbers_for_programs(settings: Any) -> None:
    """The script finds what was open by them."""
    settings.USE_THOUSAND_SEPARATOR = True
    row = retrying()
    Attempt.objects.update(id=1_234_567)
    page = text(operator(*VIEW), url("delivery_change", row.pk))
    found = re.findall('id="(eda-(?:attempt|summary|trace)-[^"]*)"', page)
    assert found == ["eda-attempt-1234567", "eda-summary-1234567", "eda-trace-1234567"]
