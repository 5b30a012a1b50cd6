"""procrastinate: defer() in the transaction; its worker listens to the table of jobs."""

from typing import Any

from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from benchmarks.business.sales import as_dict
from benchmarks.peers.site import Process, Site, command, heard


@app.task(name="bench.note")
def note(sale: dict[str, Any]) -> None:
    heard(sale["number"])


class Procrastinate(Site):
    def worker(self) -> Process:
        return command("procrastinate", "worker")

    def publish(self, number: int) -> None:
        note.defer(sale=as_dict(number))

    def publish_many(self, numbers: list[int]) -> None:
        note.batch_defer(*({"sale": as_dict(number)} for number in numbers))

    def left(self) -> int:
        return int(ProcrastinateJob.objects.count())


SITE = Procrastinate()
