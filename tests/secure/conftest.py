"""A site that is configured as the docs tell to, and a trap for what must not run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import attacker
from tests.world import LISTED, closed


@pytest.fixture(autouse=True)
def secured(settings: Any) -> None:
    """Configure the site as the docs tell to."""
    settings.RQ = attacker.SECURE
    settings.RQ_QUEUES = closed(settings.RQ_QUEUES)
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED]}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the path of what must not exist after the test."""
    path = tmp_path / "sprung"
    monkeypatch.setenv("EDA_TEST_TRAP", str(path))
    yield path
    assert not path.exists(), "something ran that must not run"
