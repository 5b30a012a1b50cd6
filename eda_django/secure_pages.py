"""django-rq's own pages, made to read jobs as the secure workers do.

They ask for the configured job class nowhere: they read jobs with RQ's plain classes, here and
there as pickle, and their upkeep of abandoned jobs calls whatever callback such a job names.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from importlib import import_module
from typing import Any

from django_rq.jobs import get_job_class
from django_rq.queues import get_queue_by_index
from rq.command import send_stop_job_command
from rq.executions import Execution
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from .secure import SecureWorker

MODULES = ("utils", "views", "stats_views", "cron_views")


class SecureStartedJobRegistry(StartedJobRegistry):
    """RQ's list of running jobs, whose upkeep judges an abandoned job before it ends it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job_class, self.serializer = get_job_class(), JSONSerializer


class SecureExecution(Execution):
    """RQ's record of a run, whose job RQ reads as pickle."""

    @property
    def job(self) -> Any:
        return get_job_class().fetch(self.job_id, connection=self.connection)


@wraps(get_queue_by_index)
def secure_queue_by_index(index: int) -> Any:
    """Return the queue with the job class that django-rq leaves out here."""
    queue: Any = get_queue_by_index(index)
    queue.job_class = get_job_class()
    return queue


def replacements() -> dict[str, type | Callable[..., Any]]:
    """Return what the names in django-rq's modules of pages have to stand for."""
    return {
        "Job": get_job_class(),
        "Worker": SecureWorker,
        "StartedJobRegistry": SecureStartedJobRegistry,
        "Execution": SecureExecution,
        "get_queue_by_index": secure_queue_by_index,
        "send_stop_job_command": partial(send_stop_job_command, serializer=JSONSerializer),
    }


def close() -> None:
    """Have django-rq's pages use these; only for sites whose RQ["JOB_CLASS"] is secure."""
    for name in MODULES:
        # Not every version has them all, and without Django's admin there are no pages.
        with suppress(ImportError, RuntimeError):
            module = import_module(f"django_rq.{name}")
            for attribute, replacement in replacements().items():
                if hasattr(module, attribute):
                    setattr(module, attribute, replacement)
