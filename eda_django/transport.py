"""What the relay needs of whatever carries its chunks to their consumers."""

import threading
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from .chunks import Chunk


class Transport(Protocol):
    """Carries chunks; knows what became of them."""

    def check(self) -> None:
        """Raise TransportUnavailable if nothing can be carried now."""

    def push(self, chunks: Sequence[Chunk], *, using: str) -> dict[UUID, str]:
        """Carry the chunks; return the tokens of those that can't be, each with the reason."""

    def ahead(self) -> Mapping[str, int]:
        """Return the queues that were behind at the last push, and the jobs before each worker."""

    def has_queue(self, name: str) -> bool:
        """Return whether it can be asked about claims in this queue."""

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        """Return which claims (token: queue) are still on their way to a worker."""

    def wait(self, seconds: float, *, using: str, wake: threading.Event) -> bool:
        """Sleep until the doorbell rings, `wake` is set, or the time is over; True if it rang.

        With 0 seconds the caller is about to look at everything, whatever has rung so far.
        """
