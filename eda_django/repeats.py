"""Tells a drain that goes round: only what subscribers put off comes, and is put off again."""

from typing import Any, Self

from . import signals
from .models import Delivery


class Repeats:
    """Counts what is put off again in this process while it is entered."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._seen: set[int] = set()
        self._again = 0

    def __enter__(self) -> Self:
        signals.delivery_deferred.connect(self._note, sender=Delivery)
        return self

    def __exit__(self, *error: object) -> None:
        signals.delivery_deferred.disconnect(self._note, sender=Delivery)

    def are_all_of(self, moved: int) -> bool:
        """Return whether nothing else was among the rows moved since the call before."""
        again, self._again = self._again, 0
        return moved <= again

    def _note(self, *, delivery: Delivery, **_: Any) -> None:
        if delivery._state.db != self._using:
            return
        if delivery.pk in self._seen:
            self._again += 1
        self._seen.add(delivery.pk)
