"""Waiting for a shop to be as it should, and for its database to be there."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

PATIENCE = 90.0
TICK = 0.05

T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """Ask the database; wait for it, if it is away."""
    while True:
        try:
            return ask()
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(TICK)


def until(condition: Callable[[], T | None]) -> T:
    """Return what `condition` returns as soon as that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(TICK)
    return value
