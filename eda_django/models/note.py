"""What operators write to one another about a group of failures."""

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..conf import MAX_NAME


class FailureNote(models.Model):
    """A note on all failures of one subscriber and one cause; there is one for each group."""

    id = models.BigAutoField(primary_key=True)
    subscriber = models.CharField(_("subscriber"), max_length=MAX_NAME)
    fingerprint = models.CharField(_("fingerprint"), max_length=32)
    text = models.TextField(_("note"))
    author = models.CharField(_("author"), max_length=MAX_NAME)
    written_at = models.DateTimeField(_("written at"), auto_now=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        verbose_name = _("note on failures")
        verbose_name_plural = _("notes on failures")
        default_permissions = ("change",)
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "fingerprint"], name="eda_note_group")
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.fingerprint}"
