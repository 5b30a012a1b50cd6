"""The shop as a whole, on the database of this run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.demo import database_for_a_demo, running_demo
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes


@pytest.fixture
def database_url(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    with django_db_blocker.unblock(), database_for_a_demo() as url:
        yield url


def test_twelve_customers_lose_nothing(tmp_path: Path, database_url: str) -> None:
    """G2, G3: through pages, outbox, relay and workers, with one service down for a while."""
    with running_demo(tmp_path / "demo", "--orders=12", database_url=database_url) as demo:
        code = demo.process.wait(PATIENCE * 2)
        assert code == 0, demo.text
    table = dict(re.findall(r"│ +(\w+) +│ +(\d+) │", demo.text))
    assert (table["lost"], table["doubled"], table["stuck"]) == ("0", "0", "1")
    assert "payments was down for" in demo.text
    assert not (demo.folder / "address").exists()
