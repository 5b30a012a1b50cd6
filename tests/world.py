"""What is different for a process that a test starts than for the test."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

# What docs/how-to/secure-redis.md tells to set, and the one function of a stranger's that may run.
CLOSED: dict[str, str] = {
    "JOB_CLASS": "eda_django.secure.SecureJob",
    "WORKER_CLASS": "eda_django.secure.SecureWorker",
}
LISTED: str = "tests.attacker.leave_a_file"


def configure(
    *, lease: float | None = None, redis_port: int | None = None, trap: Path | None = None
) -> None:
    """Set, in a fork, LEASE in seconds, and where Redis is.

    With a `trap` it is closed to strangers' jobs: that is where one leaves a file that runs anyway.
    """
    if lease:
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "LEASE": lease}
    if redis_port:
        settings.RQ_QUEUES = each_with(settings.RQ_QUEUES, PORT=redis_port)
    if trap:
        os.environ["EDA_TEST_TRAP"] = str(trap)
        settings.RQ = CLOSED
        settings.RQ_QUEUES = closed(settings.RQ_QUEUES)
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED]}


def closed(queues: Mapping[str, Any]) -> dict[str, Any]:
    """Return the queues as those of a site that is closed to strangers' jobs."""
    return each_with(queues, SERIALIZER="rq.serializers.JSONSerializer")


def each_with(queues: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Return the queues, each with these options."""
    return {name: {**queue, **options} for name, queue in queues.items()}
