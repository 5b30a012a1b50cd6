"""What an RQ job names, and a worker imports by that name, whatever it has imported before."""

import logging
import traceback
from inspect import signature
from typing import Any

import django
from django.apps import apps
from django.db import InterfaceError, OperationalError

from .exceptions import BrokenJob, RefusedJob, first_line

logger = logging.getLogger("eda_django")


def consume(*args: Any, **kwargs: Any) -> int:
    """Run eda_django.consumer.consume() in a process that may know nothing of the site yet.

    A worker that was spawned rather than forked (rqworker-pool from Python 3.14 on, or on macOS)
    inherits the name of the settings, and no more.

    RQ writes the exception of a job that fails into Redis, with those that led to it. A text of
    theirs may be a subscriber's, with a payload in it: none of them leaves here.
    """
    if not apps.ready:
        django.setup()
    # Late, because it imports models.
    from .consumer import consume as run
    from .dispatch import limit_of

    try:
        signature(run).bind(*args, limit_of=limit_of, **kwargs)
    except TypeError as error:
        raise RefusedJob(f"The arguments are not those of consume(): {error!s:.200}.") from None
    try:
        return run(*args, limit_of=limit_of, **kwargs)
    except RefusedJob as error:
        # Only of what stood in Redis already.
        raise RefusedJob(*error.args) from None
    except SystemExit as error:
        raise SystemExit(error.code if isinstance(error.code, int) else 1) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt from None
    except BaseException as error:
        _log(error)
        kind = type(error).__qualname__
        raise BrokenJob(f"The consumer broke off with {kind}; the worker's log has more.") from None


def _log(error: BaseException) -> None:
    # How a connection failed is no secret, and often all that an operator has to know.
    is_connection = isinstance(error, OperationalError | InterfaceError)
    text = first_line(error, limit=200) if is_connection else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("consumer broke off error=%s %s\n%s", type(error).__qualname__, text, frames)
