"""What hears of a sale: one INSERT."""

from benchmarks.business.models import Effect
from eda_django import Event, subscribes

from .events import SaleMade


@subscribes(SaleMade, name="bench.note")
def note(event: Event[SaleMade]) -> None:
    Effect.objects.create(number=event.data.number)
