"""Waiting for what other processes and threads do."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

# Seconds in which what must happen must have happened; a busy machine takes its time.
PATIENCE = 90.0

T = TypeVar("T")


def eventually(
    condition: Callable[[], T | None],
    what: str = "",
    *,
    within: float = PATIENCE,
    every: float = 0.05,
) -> T:
    """Return what `condition` returns as soon as that is true; fail the test if it isn't soon."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            waited = f"waited {within:g} s in vain{what and ' for '}{what}"
            pytest.fail(f"{waited}, it is {value!r}", pytrace=True)
        time.sleep(every)
    return value
