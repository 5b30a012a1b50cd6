"""What happens when Django starts: discovery, checks, and who listens to whom."""

import sys
from contextlib import suppress

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from .events import types
from .exceptions import InvalidEventType
from .payloads import adapter


class EdaDjangoConfig(AppConfig):
    name = "eda_django"
    verbose_name = _("Events")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load every app's events.py and subscribers.py, and connect the signals."""
        # Here, because these import models, which exist only now.
        from . import checks, dispatch, secure, signals

        autodiscover_modules("events", "subscribers")
        if sys.argv[1:2] and sys.argv[1].startswith("rqworker"):
            prepare_worker()
        if secure.is_in_use():
            close_pages()
        checks.register()
        signals.connect_logging()
        signals.events_committed.connect(dispatch.ring, dispatch_uid="eda_django")
        signals.deliveries_released.connect(dispatch.ring, dispatch_uid="eda_django")
        signals.chunk_finished.connect(dispatch.flush_doorbell, dispatch_uid="eda_django")


def close_pages() -> None:
    """Have django-rq's pages read jobs as the secure workers do.

    It imports these pages, which only a site with secure workers has to pay for at its start.
    """
    from . import secure_pages

    secure_pages.close()


def prepare_worker() -> None:
    """Build the readers of all payloads now, and import what a job needs.

    A worker that forks for each job would otherwise do it in each fork anew, and import pydantic
    there, which takes longer than most subscribers.
    """
    from . import consumer, job  # noqa: F401

    for declared in types:
        if declared.payload:
            # `manage.py check` tells of it.
            with suppress(InvalidEventType):
                adapter(declared.payload)
