"""Subscribers that worker processes can import: each writes an Effect, and may misbehave."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from eda_django import Discard, Event, Retry, RetryLater, event, publish, subscribes
from eda_django.events import types
from eda_django.registry import registry
from tests.waiting import eventually

from .events import Noted, OrderPlaced
from .models import Effect

QUICK = Retry(max_attempts=3, base=0.05, factor=1.0, jitter=0.0)


@subscribes(OrderPlaced, name="testapp.reserve", queue="fast")
def reserve(event: Event[OrderPlaced]) -> None:
    record("testapp.reserve", event, note=str(event.data.total))


@subscribes(OrderPlaced, name="testapp.bill", queue="slow", retry=QUICK)
def bill(event: Event[OrderPlaced]) -> None:
    """Write, then fail at the first attempt: only the second may leave an effect."""
    record("testapp.bill", event, note=event.data.placed_at.isoformat())
    if event.attempt == 1:
        raise RuntimeError("the first attempt fails after its writes")


@subscribes(OrderPlaced, name="testapp.mail", queue="fast")
async def mail(event: Event[OrderPlaced]) -> None:
    await Effect.objects.acreate(
        subscriber="testapp.mail",
        event_id=event.id,
        attempt=event.attempt,
        note=str(event.data.reference),
    )


@subscribes(Noted, name="testapp.behave", queue="default", retry=QUICK)
def behave(event: Event[Noted]) -> None:
    """Write an Effect, then do what the event says."""
    record("testapp.behave", event, note=event.data.text)
    word, _, argument = event.data.behave.partition(":")
    BEHAVIOURS[word](argument, event)


def record(subscriber: str, event: Event[Any], *, note: str = "") -> None:
    Effect.objects.create(
        subscriber=subscriber, event_id=event.id, attempt=event.attempt, note=note
    )


def _fail(argument: str, event: Event[Noted]) -> None:
    if event.attempt <= int(argument or 10**6):
        raise RuntimeError(f"attempt {event.attempt} fails")


def _kill(argument: str, event: Event[Noted]) -> None:
    if event.attempt <= int(argument or 10**6):
        os.kill(os.getpid(), signal.SIGKILL)


def _discard(argument: str, event: Event[Noted]) -> None:
    raise Discard(argument)


def _later(argument: str, event: Event[Noted]) -> None:
    raise RetryLater(float(argument))


def _sleep(argument: str, event: Event[Noted]) -> None:
    """Sleep so many seconds; "60:1" only at the first attempt."""
    seconds, _, attempts = argument.partition(":")
    if event.attempt <= int(attempts or 10**6):
        time.sleep(float(seconds))


def _hold(argument: str, event: Event[Noted]) -> None:
    """Say in this folder that it is here, and stay until there is a file "go"."""
    Path(argument, f"{event.id}").touch()
    eventually(Path(argument, "go").exists)


def _publish(argument: str, event: Event[Noted]) -> None:
    publish(Noted(event.data.text, argument))


BEHAVIOURS = {
    "": lambda argument, event: None,
    "fail": _fail,
    "kill": _kill,
    "discard": _discard,
    "later": _later,
    "sleep": _sleep,
    "hold": _hold,
    "publish": _publish,
}


# Stands for older code: processes that tests start may be told what they don't know yet.
for _name in filter(None, os.environ.get("EDA_TEST_UNKNOWN", "").split(",")):
    registry.remove(_name)
    types.forget(_name)

# They may be told whose subscribers run without a transaction.
for _name in filter(None, os.environ.get("EDA_TEST_BARE", "").split(",")):
    _subscription = registry.get(_name)
    assert _subscription
    registry.remove(_name)
    registry.add(replace(_subscription, atomic=False))

# And for newer code: they may be told whose next version they know.
for _name in filter(None, os.environ.get("EDA_TEST_NEWER", "").split(",")):
    _known = types.get(_name)
    assert _known
    assert _known.payload
    types.forget(_name)
    event(_name, version=_known.version + 1)(_known.payload)
