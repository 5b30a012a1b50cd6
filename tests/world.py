"""What is different for a forked process than for the test that started it."""

from django.conf import settings


def configure(*, lease: float | None = None, redis_port: int | None = None) -> None:
    """Set LEASE, in seconds, and where Redis is."""
    if lease:
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "LEASE": lease}
    if redis_port:
        settings.RQ_QUEUES = {
            name: {**queue, "PORT": redis_port} for name, queue in settings.RQ_QUEUES.items()
        }
