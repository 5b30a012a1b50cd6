"""A subscriber of the children that meets others halfway: tests, or itself in another worker."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eda_django import Event, subscribes
from tests.faults import site
from tests.testapp.models import Order
from tests.waiting import eventually

SUBSCRIBER = "faults.meeting"
# What is taken at once by a subscriber that takes all the memory there is.
BLOCK = 1 << 24


@subscribes("faults.met", name=SUBSCRIBER, queue="default", retry=site.QUICK)
def meeting(event: Event[Any]) -> None:
    """Write, do what the event says, and write again. Most of it is done at the first attempt."""
    site.write(event, SUBSCRIBER, "first")
    word, _, argument = event.data["behave"].partition(":")
    DEEDS[word](event, argument)
    site.write(event, SUBSCRIBER, "second")


def hold(event: Event[Any], folder: str) -> None:
    """Say that it is here, and stay until there is a file "go"."""
    meet(Path(folder, f"{event.id}"), Path(folder, "go"))


def sleep(event: Event[Any], seconds: str) -> None:
    time.sleep(float(seconds))


def spend(event: Event[Any], argument: str) -> None:
    """Take more memory than there is."""
    taken = []
    while event.attempt == 1:
        taken.append(bytearray(BLOCK))


def count(event: Event[Any], folder: str) -> None:
    """Read a row, and write what follows from it, though it may have changed meanwhile."""
    order = Order.objects.get()
    if event.attempt == 1:
        meet(Path(folder, "read"), Path(folder, "go"))
    order.number = f"{int(order.number) + 1}"
    order.save()


def lock(event: Event[Any], argument: str) -> None:
    """Lock two rows, and be sure that another has the second one when it comes to it."""
    folder, first, second = argument.split(",")
    Order.objects.select_for_update().get(pk=first)
    if event.attempt == 1:
        meet(Path(folder, first), Path(folder, second))
    Order.objects.select_for_update().get(pk=second)


def meet(here: Path, there: Path) -> None:
    here.touch()
    eventually(there.exists)


DEEDS: dict[str, Callable[[Event[Any], str], None]] = {
    "": lambda event, argument: None,
    "hold": hold,
    "sleep": sleep,
    "spend": spend,
    "count": count,
    "lock": lock,
}
