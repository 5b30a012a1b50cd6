"""A secured site, and a trap for what must not run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import attacker
from tests.attacker import LISTED
from tests.integration.processes import Processes
from tests.integration.secure.site import JSON, Site


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """Return the path of what must not exist after the test."""
    path = tmp_path / "sprung"
    yield path
    assert not path.exists(), "something ran that must not run"


@pytest.fixture
def site(processes: Processes, trap: Path, settings: Any) -> Site:
    settings.RQ = attacker.SECURE
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED], "LEASE": 0.5}
    settings.RQ_QUEUES = {n: {**q, "SERIALIZER": JSON} for n, q in settings.RQ_QUEUES.items()}
    return Site(processes, trap)
