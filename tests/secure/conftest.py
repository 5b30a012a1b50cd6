"""A site that is configured as the docs tell to, and a trap for what must not run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import attacker
from tests.attacker import LISTED
from tests.secure.refused import JSON


@pytest.fixture(autouse=True)
def secured(settings: Any) -> None:
    """Configure the site as the docs tell to."""
    settings.RQ = attacker.SECURE
    settings.RQ_QUEUES = {n: {**q, "SERIALIZER": JSON} for n, q in settings.RQ_QUEUES.items()}
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED]}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the path of what must not exist after the test."""
    path = tmp_path / "sprung"
    monkeypatch.setenv("EDA_TEST_TRAP", str(path))
    yield path
    assert not path.exists(), "something ran that must not run"
