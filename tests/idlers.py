"""Contestants and peers in P1 and P2 that don't do their work; prints as JSON what becomes of each.

A process of its own, with the benchmark's settings.
"""

import json
import sys
import time
from typing import Any
from unittest.mock import patch

from benchmarks.measure import Size
from benchmarks.peers.serve import Turns
from benchmarks.run import prepare

# Seconds that a ring takes which nobody waits for.
LATE = 3.0


def main() -> None:
    prepare()
    # Late: they import models.
    import django_rq

    from benchmarks import filling, limit, publishing
    from benchmarks.business.sales import sell
    from benchmarks.peers.site import Site
    from benchmarks.shop.sales import sale_made
    from eda_django import publish
    from eda_django.dispatch import doorbell

    one, several = publishing.P1.contestants, publishing.P2.contestants

    class IdleSite(Site):
        def publish(self, number: int) -> None:
            pass

        def publish_many(self, numbers: list[int]) -> None:
            pass

        def left(self) -> int:
            return 1

    class IdleTurns(Turns):
        def _empty(self) -> None:
            # A peer's own tables are PostgreSQL's.
            filling.empty()

    def sell_and_more(number: int) -> None:
        sell(number)
        limit.insert_event(number)

    def sell_and_shut_down(number: int) -> None:
        sell(number)
        if number:
            filling.redis().shutdown(nosave=True)

    def publish_one(events: list[Any]) -> None:
        publish(events[0])

    cases: dict[str, tuple[Any, Any, str, Any]] = {
        "more than nothing": (one["without"], publishing, "sell", sell_and_more),
        "no event": (one["library"], publishing, "publish", nothing),
        "one event of five": (several["library"], publishing, "publish_many", publish_one),
        "no row": (one["limit"], limit, "insert_event", nothing),
        "no rows": (several["limit"], limit, "insert_events", nothing),
        "no job": (one["django-rq"], django_rq, "enqueue", nothing),
        "no jobs": (several["django-rq"], django_rq, "enqueue", nothing),
        "late ring": (one["library"], doorbell, "_push", late),
        "no ring": (one["library"], doorbell, "_push", away),
    }
    found: dict[str, Any] = {}
    with patch.object(publishing, "sale_made", wraps=sale_made) as made:
        several["library"](Size(transactions=2))
    found["payloads"] = made.call_count
    patience = {"late ring": 0.1}
    for name, (run, target, attribute, instead) in cases.items():
        seconds = patience.get(name, publishing.PATIENCE)
        with (
            patch.object(target, attribute, instead),
            patch.object(publishing, "PATIENCE", seconds),
        ):
            found[name] = outcome(run)
        doorbell.flush(2 * LATE)
    found["idle peer"] = outcome(lambda size: IdleTurns(IdleSite()).transactions(size.transactions))
    found["idle peer, five events"] = outcome(
        lambda size: IdleTurns(IdleSite()).transactions_of_many(size.transactions, 5)
    )
    # After an outage it keeps quiet for a while.
    found["silent"] = outcome(one["library"])
    with patch.object(publishing, "sell", sell_and_shut_down):
        found["no Redis"] = outcome(one["without"])
    json.dump(found, sys.stdout)


def outcome(run: Any) -> str:
    try:
        run(Size(transactions=2))
    except RuntimeError as error:
        return str(error)
    return "nothing is wrong"


def nothing(*_: object) -> None:
    pass


def late(using: str) -> None:
    time.sleep(LATE)


def away(using: str) -> None:
    raise ConnectionError("nobody answers")


if __name__ == "__main__":
    main()
