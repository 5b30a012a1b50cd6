"""What hears of a sale: one INSERT, by Django's models or by hand."""

import time

from django.db import connection

from benchmarks.business.models import Effect
from eda_django import Event, subscribes

from .events import SaleMade, SaleMadeByHand


@subscribes(SaleMade, name="bench.note")
def note(event: Event[SaleMade]) -> None:
    Effect.objects.create(number=event.data.number)


@subscribes(SaleMadeByHand, name="bench.note_by_hand")
def note_by_hand(event: Event[SaleMadeByHand]) -> None:
    """Write the row as the limit does, so that libraries are compared and not INSERTs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bench_effect (number, at) VALUES (%s, %s)",
            [event.data.number, time.time()],
        )
