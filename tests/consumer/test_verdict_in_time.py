"""How an attempt ended is recorded by its worker, however slow it was, and not by a relay."""

import signal
from typing import Any

import pytest
from django.db import connection

from eda_django import Event
from eda_django.models import Attempt
from tests.consumer.running import one_chunk, run
from tests.relaying import statuses


class Telling:
    """An exception's second parent: notes where its text is read."""

    noted: list[tuple[bool, float]]

    def __str__(self) -> str:
        alarm = signal.getitimer(signal.ITIMER_REAL)[0]
        self.noted.append((connection.in_atomic_block, alarm))
        return "told"


class Failure(Telling, RuntimeError):
    pass


class Exit(Telling, SystemExit):
    pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [Failure, Exit])
def test_failure_is_put_into_words_while_the_row_is_locked(kind: type[Telling]) -> None:
    """G4: it takes time, in which a relay would find the row free; and no time limit counts."""

    def fail(seen: Event[Any]) -> None:
        raise kind  # type: ignore[misc]

    kind.noted = []
    chunk = one_chunk(1, fail, timeout=50)
    if kind is Exit:
        with pytest.raises(SystemExit):
            run(chunk)
    else:
        run(chunk)
    assert kind.noted[0] == (True, 0.0)
    assert statuses() == ["pending"]
    assert Attempt.objects.get().error_text == "told"
