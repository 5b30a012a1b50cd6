"""Tells a drain that goes round: only what subscribers put off comes, and is put off again."""

from typing import Any, Self

from . import signals
from .models import Delivery


class Repeats:
    """Notes what is put off again in this process while it is entered."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._seen: set[int] = set()
        # What was put off again: in this turn, and in those since anything else has moved.
        self._turn: set[int] = set()
        self._round: set[int] = set()

    def __enter__(self) -> Self:
        signals.delivery_deferred.connect(self._note, sender=Delivery)
        return self

    def __exit__(self, *error: object) -> None:
        signals.delivery_deferred.disconnect(self._note, sender=Delivery)

    def are_all(self, moved: int) -> bool:
        """Return whether nothing else is left to move, after a turn in which `moved` rows did.

        That is when one comes for the second time with nothing else in between. At the first, what
        is due later than it may be left by a batch that was full.
        """
        turn, self._turn = self._turn, set()
        if moved > len(turn):
            self._round.clear()
            return False
        is_through = not moved or not self._round.isdisjoint(turn)
        self._round |= turn
        return is_through

    def _note(self, *, delivery: Delivery, **_: Any) -> None:
        if delivery._state.db != self._using:
            return
        if delivery.pk in self._seen:
            self._turn.add(delivery.pk)
        self._seen.add(delivery.pk)
