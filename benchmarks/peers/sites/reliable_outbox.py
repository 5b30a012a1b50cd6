"""django-reliable-outbox: publish() in the transaction; its worker runs the local handlers."""

from reliable_outbox import Envelope, handler, publish
from reliable_outbox.models import OutboxMessage

from benchmarks.business.sales import as_dict
from benchmarks.peers.site import Process, Site, command, heard


@handler("bench.sale_made")
def note(envelope: Envelope) -> None:
    heard(envelope.payload["number"])


class ReliableOutbox(Site):
    def worker(self) -> Process:
        return command("outbox_worker")

    def publish(self, number: int) -> None:
        publish("bench.sale_made", as_dict(number))

    def left(self) -> int:
        return int(OutboxMessage.objects.count())


SITE = ReliableOutbox()
