"""The console's own pages. They have no tables: Django's admin lists models, so these are some."""

from django.utils.translation import gettext_lazy as _

from .delivery import Delivery
from .heartbeat import RelayHeartbeat
from .outbox import OutboxEvent


class Overview(RelayHeartbeat):
    """Is everything well?"""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = verbose_name_plural = _("overview")


class Failure(Delivery):
    """Deliveries that failed, grouped by cause."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("failure")
        verbose_name_plural = _("failures")


class CatalogueEntry(OutboxEvent):
    """Event types, who publishes them, and who gets them."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("event type")
        verbose_name_plural = _("catalogue")
