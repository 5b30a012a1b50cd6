"""What the sites with Celery share: the task, its worker, and Redis as the broker."""

import os
from typing import Any

from celery import shared_task
from redis import Redis

from benchmarks.business.sales import as_dict
from benchmarks.peers.celery_app import app
from benchmarks.peers.site import Process, Site, command, heard


@shared_task(name="bench.note")
def note(sale: dict[str, Any]) -> None:
    heard(sale["number"])


class CelerySite(Site):
    def worker(self) -> Process:
        words = ("worker", "--concurrency=1", "--loglevel=WARNING")
        return command("-A", "benchmarks.peers.celery_app", *words, module="celery")

    def publish(self, number: int) -> None:
        note.delay_on_commit(as_dict(number))

    def left(self) -> int:
        with Redis.from_url(os.environ["BENCH_PEERS_REDIS_URL"]) as broker:
            return int(broker.llen("celery"))

    def empty(self) -> None:
        app.control.purge()
