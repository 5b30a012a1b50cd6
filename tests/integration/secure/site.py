"""A site as the docs tell to configure it, and what its deliveries came to."""

from collections import Counter
from pathlib import Path
from typing import Any

import django_rq
from django.core.management import call_command

from eda_django.models import Delivery, Status
from tests.integration import ordering
from tests.integration.ordering import place_notes
from tests.integration.processes import Process, Processes, relay_words
from tests.testapp.models import Effect

# Short, so that the relay soon asks what became of a claim.
LEASE = 0.5
KINDS = {
    "fork": ("rqworker", "default"),
    "simple": ("rqworker", "default", "--worker-class=eda_django.secure.SecureSimpleWorker"),
    "pool": ("rqworker-pool", "default", "--num-workers=2"),
}


class Site:
    """A relay and workers that are closed to strangers' jobs."""

    def __init__(self, processes: Processes, trap: Path) -> None:
        self._processes = processes
        self._trap = trap

    def relay(self) -> Process:
        process = self._processes.run(*relay_words(), lease=LEASE, trap=self._trap)
        process.says("relay started")
        return process

    def worker(self, kind: str = "simple", *words: str) -> Process:
        return self._processes.run(*KINDS[kind], *words, trap=self._trap)

    def spawn(self, kind: str, *words: str, **environment: str) -> Process:
        """Start a worker that finds all of its settings by itself, as an operator's does."""
        own = {
            "EDA_TEST_SECURE": "1",
            "EDA_TEST_LEASE": str(LEASE),
            "EDA_TEST_TRAP": str(self._trap),
        }
        return self._processes.spawn(*KINDS[kind], *words, **own, **environment)

    def work(self) -> None:
        """Do all that is in the queue, here: it is RQ's SimpleWorker, and needs no process."""
        django_rq.get_worker("default").work(burst=True)


def push_notes(*behaviours: str) -> None:
    """Publish, and have a relay push; no relay is left to mend anything."""
    place_notes(*behaviours)
    call_command("relay", "--once")


def effects() -> Counter[Any]:
    """Return how many effects each event has had."""
    return Counter(Effect.objects.values_list("event_id", flat=True))


def once(count: int) -> bool:
    """Return whether so many deliveries are done, each with one effect."""
    found = effects()
    done = ordering.statuses() == {Status.SUCCEEDED: count}
    return done and len(found) == count and set(found.values()) == {1}


def attempts() -> list[int]:
    """Return how many each delivery has taken."""
    return list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))
