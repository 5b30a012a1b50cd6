"""The subscribers of the children: each writes twice, so that one can die in between."""

from typing import Any

from django.db import transaction

from eda_django import Event, Retry, outbox, subscribes
from tests.testapp.models import Effect

QUICK = Retry(max_attempts=3, base=0.05, factor=1.0, jitter=0.0)


def write(event: Event[Any], subscriber: str, note: str) -> None:
    Effect.objects.create(
        subscriber=subscriber, event_id=event.id, attempt=event.attempt, note=note
    )


@subscribes("faults.happened", name="faults.pair", queue="default", retry=QUICK)
def pair(event: Event[Any]) -> None:
    write(event, "faults.pair", "first")
    write(event, "faults.pair", "second")
    behave = event.data["behave"] if event.attempt == 1 else ""
    if behave == "fail":
        raise RuntimeError("the first attempt fails")
    if behave == "exit":
        raise SystemExit(3)


@subscribes("faults.happened", name="faults.bystander", queue="slow", retry=QUICK)
def bystander(event: Event[Any]) -> None:
    """Stands for everybody else: nothing may happen to it."""
    write(event, "faults.bystander", "only")


@subscribes(
    "faults.bare", name="faults.bare", queue="default", retry=QUICK, atomic=False, timeout=1
)
def bare(event: Event[Any]) -> None:
    write(event, "faults.bare", "first")
    write(event, "faults.bare", "second")


@subscribes("faults.hooked", name="faults.hooked", queue="default", retry=QUICK)
def hooked(event: Event[Any]) -> None:
    write(event, "faults.hooked", "written")
    transaction.on_commit(lambda: write(event, "faults.hooked", "hook"))


def publish_events(kind: str, behaviours: list[str]) -> None:
    with transaction.atomic():
        for behave in behaviours:
            outbox.publish(kind, {"behave": behave})
