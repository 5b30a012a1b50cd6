"""What happens when Django starts: discovery, checks, and who listens to whom."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class EdaDjangoConfig(AppConfig):
    name = "eda_django"
    verbose_name = _("Events")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load every app's events.py and subscribers.py, and connect the signals."""
        # Here, because these import models, which exist only now.
        from . import checks, dispatch, signals

        autodiscover_modules("events", "subscribers")
        checks.register()
        signals.connect_logging()
        signals.events_committed.connect(dispatch.ring, dispatch_uid="eda_django")
        signals.deliveries_released.connect(dispatch.ring, dispatch_uid="eda_django")
        signals.chunk_finished.connect(dispatch.flush_doorbell, dispatch_uid="eda_django")
