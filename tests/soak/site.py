"""The site that is soaked: its events, and subscribers that say in a table what they did.

Each effect is a row written in the transaction that acknowledges the delivery, with the number of
the order it is about. Orders are written in the transaction that publishes their event. These two
tables are what the soak is judged by; the outbox is not asked.
"""

import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from eda_django import Event, Retry, event, publish, subscribes
from tests.testapp.models import Effect, Order

# So many that one who is dead is a bug: every kill costs an attempt.
PATIENT = Retry(max_attempts=1_000, base=0.2, factor=2.0, cap=3.0)
BRIEF = Retry(max_attempts=3, base=0.2, factor=1.0, jitter=0.0)

# Which of the soak's processes this is; work horses inherit it.
piece = ""


@event("soak.placed")
@dataclass(frozen=True, slots=True)
class Placed:
    """`fail` is the number of attempts that fail, `seconds` how long the first takes."""

    number: str
    fail: int = 0
    seconds: float = 0.0


@event("soak.paid")
@dataclass(frozen=True, slots=True)
class Paid:
    """Published by a subscriber of Placed."""

    number: str


@event("soak.shipped")
@dataclass(frozen=True, slots=True)
class Shipped:
    number: str


@event("soak.refused")
@dataclass(frozen=True, slots=True)
class Refused:
    """Ends as a dead letter; `deadly` kills whoever runs it, each time."""

    number: str
    deadly: bool = False


TYPES = {"placed": Placed, "paid": Paid, "shipped": Shipped, "refused": Refused}


def note(happened: Event[Any], subscriber: str) -> None:
    text = f"{happened.data.number} {piece}"
    Effect.objects.create(
        subscriber=subscriber, event_id=happened.id, attempt=happened.attempt, note=text
    )


@subscribes(Placed, name="soak.reserve", queue="fast", retry=PATIENT)
def reserve(happened: Event[Placed]) -> None:
    note(happened, "soak.reserve")
    if happened.data.seconds and happened.attempt == 1:
        print(f"{happened.data.number} takes {happened.data.seconds} s", flush=True)
        time.sleep(happened.data.seconds)


@subscribes(Placed, name="soak.bill", queue="slow", retry=PATIENT)
def bill(happened: Event[Placed]) -> None:
    """Write, publish what follows from it, and then fail a few times."""
    note(happened, "soak.bill")
    number = happened.data.number.replace("placed:", "paid:")
    Order.objects.create(number=number)
    publish(Paid(number))
    if happened.attempt <= happened.data.fail:
        raise RuntimeError(f"attempt {happened.attempt} fails after its writes")


@subscribes(Paid, Shipped, name="soak.mail", queue="fast", retry=PATIENT)
async def mail(happened: Event[Any]) -> None:
    text = f"{happened.data.number} {piece}"
    await Effect.objects.acreate(
        subscriber="soak.mail", event_id=happened.id, attempt=happened.attempt, note=text
    )


@subscribes(Shipped, name="soak.bare", queue="slow", retry=PATIENT, atomic=False, timeout=5)
def bare(happened: Event[Shipped]) -> None:
    note(happened, "soak.bare")


@subscribes("soak.*", name="soak.audit", queue="slow", retry=PATIENT)
def audit(happened: Event[Any]) -> None:
    note(happened, "soak.audit")


@subscribes(Refused, name="soak.doomed", queue="fast", retry=BRIEF)
def doomed(happened: Event[Refused]) -> None:
    note(happened, "soak.doomed")
    if happened.data.deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("this one never works")
