"""A secured site, and a trap for what must not run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import attacker
from tests.integration.processes import Processes
from tests.integration.secure.site import LEASE, Site
from tests.world import LISTED, closed


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """Return the path of what must not exist after the test."""
    path = tmp_path / "sprung"
    yield path
    assert not path.exists(), "something ran that must not run"


@pytest.fixture
def site(processes: Processes, trap: Path, settings: Any) -> Site:
    settings.RQ = attacker.SECURE
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED], "LEASE": LEASE}
    settings.RQ_QUEUES = closed(settings.RQ_QUEUES)
    return Site(processes, trap)
