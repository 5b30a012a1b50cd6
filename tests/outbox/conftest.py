"""What the tests of publish() start from."""

from collections.abc import Iterator
from typing import Any

import pytest

from eda_django import (
    signals,
)


@pytest.fixture
def rings() -> Iterator[list[str]]:
    """Collect the aliases for which the doorbell is rung."""
    heard: list[str] = []

    def hear(*, using: str, **_: Any) -> None:
        heard.append(using)

    signals.events_committed.connect(hear)
    yield heard
    signals.events_committed.disconnect(hear)
