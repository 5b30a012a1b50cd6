"""What the tests share whose processes are killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.children import Children


@pytest.fixture
def children(tmp_path: Path, transactional_db: None, redis_client: Any) -> Iterator[Children]:
    """Start processes that see what the test commits; they end before the tables are emptied."""
    started = Children(tmp_path)
    yield started
    started.end()
