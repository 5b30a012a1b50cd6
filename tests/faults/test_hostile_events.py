"""Events whose subscriber ends its process or raises what can hardly be recorded, in real workers.

Each ends as a dead letter with a reason that can be read, and takes no innocent with it.
"""

from collections import Counter

import pytest
import redis

from eda_django.models import Attempt, Delivery, Status
from tests.faults.children import FORK, SIMPLE, Children
from tests.faults.points import LOST
from tests.faults.publishing import SECRET, publish
from tests.integration import ordering
from tests.integration.test_workers import dump
from tests.relaying import lapse_running
from tests.testapp.models import Effect

pytestmark = pytest.mark.processes

VANISHED = "The worker vanished while the subscriber ran: killed, out of memory or cut off."
SITE = "tests.faults.site"

# What kills its process goes on until it is out of attempts, and is known by its lease alone.
DEADLY = ("kill", "segfault", "leave", "leave well")
# The class and the text that are kept of the rest; "" for a text that is the database's own.
RAISING = {
    "exit": ("SystemExit", "card ***"),
    "interrupt": ("KeyboardInterrupt", "card ***"),
    "memory": ("MemoryError", ""),
    "recursion": ("RecursionError", ""),
    "base": (f"{SITE}.Bottomless", "from below"),
    "nul": ("ValueError", "a\N{REPLACEMENT CHARACTER}b"),
    "surrogate": ("ValueError", "a\N{REPLACEMENT CHARACTER}b"),
    "huge": ("ValueError", f"{'x' * 1980}… (10000000 chars)"),
    "unprintable": (f"{SITE}.Unprintable", "(str() of the exception raised RuntimeError)"),
    "hiding": (f"{SITE}.Hiding", "somewhere"),
    "wordy": (f"{SITE}.Wordy", "what was wrong"),
    "disconnect": ("", ""),
}


def run(children: Children, *behaviours: str, kind: str) -> None:
    """Have a relay and a worker deal with one event each, between innocent ones.

    Of those that are deadly nothing but their leases tells the relay, so that these end at once.
    """
    mixed = [word for behave in behaviours for word in ("", behave)] + [""]
    publish("faults.hostile", *mixed)
    children.relay()
    children.worker("default", "slow", kind=kind)
    deadly = Delivery.objects.filter(event__data__behave__in=DEADLY)
    lapse_running(
        deadly.exclude(subscriber="faults.bystander"),
        until=lambda: ordering.settled(2 * len(mixed)),
    )
    expected = Counter({Status.SUCCEEDED: 2 * len(mixed) - len(behaviours)})
    expected[Status.DEAD] = len(behaviours)
    assert ordering.statuses() == expected


def check_the_innocent() -> None:
    """One attempt each, one effect each, and nothing that says otherwise."""
    rows = Delivery.objects.filter(status=Status.SUCCEEDED)
    assert set(rows.values_list("attempts", "isolated", "error_text")) == {(1, False, "")}
    assert Effect.objects.count() == rows.count()
    assert not Effect.objects.exclude(attempt=1).exists()
    assert set(Effect.objects.values_list("note", flat=True)) == {"", "only"}


def by_behaviour() -> dict[str, Delivery]:
    rows = Delivery.objects.filter(status=Status.DEAD).select_related("event")
    return {row.event.data["behave"]: row for row in rows}


def test_what_ends_its_process_ends_as_a_dead_letter(children: Children) -> None:
    """G4: signals, os._exit(), and os._exit(0), which RQ takes for a success."""
    run(children, *DEADLY, kind=FORK)
    check_the_innocent()
    dead = by_behaviour()
    assert set(dead) == set(DEADLY)
    for row in dead.values():
        assert (row.attempts, row.isolated) == (3, True)
        assert (row.error_class, row.error_text) == (LOST, VANISHED)
        kept = Attempt.objects.filter(delivery=row).order_by("number")
        assert list(kept.values_list("number", "error_class")) == [(n, LOST) for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", [SIMPLE, FORK])
def test_what_can_hardly_be_recorded_is(
    children: Children, redis_client: redis.Redis, kind: str
) -> None:
    """G4, G9: and none of it ends a worker that does not fork."""
    run(children, *RAISING, kind=kind)
    check_the_innocent()
    dead = by_behaviour()
    assert set(dead) == set(RAISING)
    for behave, (error_class, text) in RAISING.items():
        row = dead[behave]
        assert (row.attempts, row.isolated) == (3, False), behave
        assert row.error_class.startswith(error_class), behave
        assert row.error_text == text or not text, behave
        kept = Attempt.objects.filter(delivery=row).order_by("number")
        assert [attempt.number for attempt in kept] == [1, 2, 3], behave
        assert {attempt.error_class for attempt in kept} == {row.error_class}, behave
    for text in (dump(redis_client), *children.logs()):
        assert SECRET not in text
