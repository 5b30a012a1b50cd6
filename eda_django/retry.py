"""How long to wait between the attempts of a delivery."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .exceptions import MAX_SECONDS

# What the attempts column holds.
MAX_ATTEMPTS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The retry policy of a subscription.

    `max_attempts` counts every start, the first one included. The delay after the n-th failed
    attempt is `base * factor ** (n - 1)` seconds, at most `cap`, plus a random share of up to
    `jitter` of it, which only ever adds. The defaults go on for about nine hours, so that an
    outage of a working day loses nothing. Raises ValueError on values that make no sense.
    """

    max_attempts: int = 20
    base: float = 2.0
    factor: float = 2.0
    cap: float = 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int):
            raise ValueError(f"Retry(max_attempts={self.max_attempts!r}) must be a whole number.")
        self._require("max_attempts", at_least=1, at_most=MAX_ATTEMPTS)
        self._require("base", at_least=0, at_most=MAX_SECONDS)
        self._require("factor", at_least=1, at_most=MAX_SECONDS)
        self._require("cap", at_least=0, at_most=MAX_SECONDS)
        self._require("jitter", at_least=0, at_most=1)

    def _require(self, name: str, *, at_least: float, at_most: float) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not at_least <= value <= at_most:
            raise ValueError(
                f"Retry({name}={value!r}) must be a number from {at_least:,} to {at_most:,}."
            )

    def delay(self, attempts: int, *, draw: Callable[[], float] = random.random) -> float:
        """Return the seconds to wait after `attempts` failed attempts; `draw` yields 0 to 1."""
        try:
            wait = min(self.base * float(self.factor) ** (max(attempts, 1) - 1), self.cap)
        except OverflowError:
            wait = self.cap if self.base else 0.0
        return wait + wait * self.jitter * draw()

    def is_exhausted(self, attempts: int) -> bool:
        """Return whether a delivery that has started `attempts` times may not start again."""
        return attempts >= self.max_attempts
