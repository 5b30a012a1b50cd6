"""What an RQ job names, and a worker imports by that name, whatever it has imported before."""

from typing import Any

import django
from django.apps import apps


def consume(*args: Any, **kwargs: Any) -> int:
    """Run eda_django.consumer.consume() in a process that may know nothing of the site yet.

    A worker that was spawned rather than forked (rqworker-pool from Python 3.14 on, or on macOS)
    inherits the name of the settings, and no more.
    """
    if not apps.ready:
        django.setup()
    # Late, because it imports models.
    from .consumer import consume as run

    return run(*args, **kwargs)
