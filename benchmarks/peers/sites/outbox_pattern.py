"""django-outbox-pattern: a row of its model, and its relay sends to a broker that speaks STOMP."""

import os
from contextlib import suppress
from typing import Any

from django.db import transaction
from django_outbox_pattern.choices import StatusChoice
from django_outbox_pattern.factories import factory_consumer, factory_producer
from django_outbox_pattern.models import Published
from django_outbox_pattern.payloads import Payload
from stomp.listener import WaitingListener

from benchmarks.business.sales import as_dict
from benchmarks.peers.site import Process, Site, command, heard, multiply

# Of this run, so that no other's events are in its queues; the broker removes them later.
NAME = os.environ["BENCH_STOMP_NAME"]


def note(payload: Payload) -> None:
    with transaction.atomic():
        heard(payload.body["number"])
        payload.save()


class Over(Exception):
    """The relay has nothing left."""


class OutboxPattern(Site):
    relays = (command("publish"),)

    def __init__(self) -> None:
        self.turn = 0

    @property
    def queue(self) -> str:
        return f"{NAME}.{self.turn}"

    @property
    def destination(self) -> str:
        return f"/topic/{self.queue}"

    def worker(self) -> Process:
        return command("subscribe", f"{__name__}.note", self.destination, self.queue)

    def empty(self) -> None:
        # Another queue: what a turn that failed has left is not in it.
        self.turn += 1

    def publish(self, number: int) -> None:
        Published.objects.create(destination=self.destination, body=as_dict(number))

    def left(self) -> int:
        return int(Published.objects.count())

    def backlog(self, count: int) -> None:
        with transaction.atomic():
            self.publish(0)
            multiply(Published.objects.get(), count, fresh=("id",))

    def drain(self) -> None:
        """Run a turn of its relay, without the second that it waits after each."""
        producer = factory_producer()

        def over() -> Any:
            raise Over

        producer._waiting = over
        with suppress(Over):
            producer.publish_message_from_database()
        if Published.objects.filter(status=StatusChoice.SCHEDULE).exists():
            raise RuntimeError("The relay left events behind.")

    def open(self) -> None:
        # The broker drops what is sent before the queue is there.
        consumer = factory_consumer()
        consumer.start(note, self.destination, self.queue)
        _wait_for_the_broker(consumer.connection)
        consumer.stop()

    def hand_over(self) -> None:
        self.drain()


def _wait_for_the_broker(connection: Any) -> None:
    """Wait until it has dealt with all that it was sent on this connection."""
    listener = WaitingListener("dealt-with")
    connection.set_listener("dealt-with", listener)
    connection.begin(transaction="none", receipt="dealt-with")
    listener.wait_on_receipt()


SITE = OutboxPattern()
