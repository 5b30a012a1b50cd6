"""Which relays are alive."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..conf import MAX_NAME
from .clock import DatabaseNow, after

# Seconds after which a relay that says nothing counts as gone.
GONE = 30.0


class HeartbeatQuerySet(models.QuerySet["RelayHeartbeat"]):
    """What relays and operators do with heartbeats."""

    def beat(self, name: str, **about: Any) -> None:
        """Record that the relay of this name is alive; `about` is stored at its first beat."""
        if not self.filter(name=name).update(beat_at=DatabaseNow()):
            self.create(name=name, beat_at=DatabaseNow(), started_at=DatabaseNow(), **about)

    def alive(self, seconds: float) -> "HeartbeatQuerySet":
        """Relays that were heard of in the last so many seconds."""
        return self.filter(beat_at__gt=after(-seconds))

    def with_now(self) -> Any:
        """Bring the database's time along, which beats are told by; a web server's may be off."""
        return self.annotate(now=DatabaseNow())

    def forget(self, *, older_than: float) -> None:
        self.filter(beat_at__lt=after(-older_than)).delete()


class RelayHeartbeat(models.Model):
    """A relay process, and when it was last heard of."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=MAX_NAME, unique=True)
    hostname = models.CharField(max_length=MAX_NAME)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=50)
    # Runs the subscribers itself, and needs no Redis. The database has a default, too: older code
    # names no such column when it inserts.
    inline = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    objects: ClassVar[Any] = HeartbeatQuerySet.as_manager()

    class Meta:
        verbose_name = _("relay")
        verbose_name_plural = _("relays")

    def __str__(self) -> str:
        return self.name

    @property
    def silence(self) -> timedelta:
        """How long it has said nothing; of rows of with_now()."""
        now: datetime = self.now  # type: ignore[attr-defined]
        return now - self.beat_at

    @property
    def is_alive(self) -> bool:
        return self.silence < timedelta(seconds=GONE)
