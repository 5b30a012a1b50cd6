"""What the tests with real processes share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import Processes


@pytest.fixture
def processes(tmp_path: Path, transactional_db: None, redis_client: Any) -> Iterator[Processes]:
    """Start processes that see what the test commits; they end before the tables are emptied."""
    started = Processes(tmp_path)
    yield started
    started.end()
