"""django-celery-outbox: delay() writes a row, and its relay sends it to Celery's broker."""

from django.db import transaction
from django_celery_outbox.models import CeleryOutbox
from django_celery_outbox.relay import Relay, RelayConfig

from benchmarks.business.sales import as_dict
from benchmarks.peers.celery_app import app
from benchmarks.peers.celery_site import CelerySite, note
from benchmarks.peers.site import command, multiply


class CeleryOutboxSite(CelerySite):
    relays = (command("celery_outbox_relay"),)

    def publish(self, number: int) -> None:
        note.delay(as_dict(number))

    def left(self) -> int:
        return int(CeleryOutbox.objects.count())

    def backlog(self, count: int) -> None:
        with transaction.atomic():
            self.publish(0)
            multiply(CeleryOutbox.objects.get(), count, fresh=("task_id",))

    def drain(self) -> None:
        # Its command's defaults. Its loop ends with a signal only, so its turns are run here.
        relay = Relay(app=app, config=RelayConfig.init())
        while CeleryOutbox.objects.exists():
            relay._processing()

    def hand_over(self) -> None:
        self.drain()


SITE = CeleryOutboxSite()
