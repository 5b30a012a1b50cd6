"""The queues of RQ_QUEUES, and connections to their Redis servers that can't hang."""

import django_rq
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django_rq import settings as django_rq_settings
from django_rq.connection_utils import filter_connection_params
from django_rq.queues import get_queue_class
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry
from rq.exceptions import TimeoutFormatError
from rq.utils import parse_timeout

from .. import conf
from ..registry import registry


def has_queue(name: str) -> bool:
    """Return whether RQ_QUEUES has a queue of this name."""
    return name in django_rq_settings.QUEUES


def default_queue() -> str:
    """Return EDA_DJANGO['QUEUE']. Raises ImproperlyConfigured if RQ_QUEUES does not have it."""
    name: str = conf.get("QUEUE")
    if not has_queue(name):
        known = ", ".join(map(repr, django_rq_settings.QUEUES)) or "none"
        raise ImproperlyConfigured(
            f"EDA_DJANGO['QUEUE'] is {name!r}, which is not in RQ_QUEUES: add it there, or name "
            f"one that is ({known}). Commits wake the relay through its Redis."
        )
    return name


def default_timeout(queue: str) -> int:
    """Return the seconds that a job may take on a queue: its own, else RQ's. -1 means no limit.

    Raises ImproperlyConfigured if RQ can't read what RQ_QUEUES says.
    """
    # Without a worker a site needs no queues; django-rq refuses to say that there are none.
    config = getattr(settings, "RQ_QUEUES", {}).get(queue, {})
    said = config.get("DEFAULT_TIMEOUT")
    try:
        return parse_timeout(said) or get_queue_class(config).DEFAULT_TIMEOUT
    except (TimeoutFormatError, TypeError, AssertionError) as error:
        raise ImproperlyConfigured(
            f"RQ_QUEUES[{queue!r}] has DEFAULT_TIMEOUT={said!r}, which RQ can't read: give "
            f"seconds, or a text such as '90s', '5m' or '1h'."
        ) from error


def limit_of(queue: str) -> float | None:
    """Return the seconds that an attempt may take on a queue, None for no limit."""
    seconds = default_timeout(queue)
    return seconds if seconds > 0 else None


def queues_in_use() -> list[str]:
    """Return the queues that the running code's deliveries go through, as far as there are any."""
    names = {conf.get("QUEUE"), *(s.queue for s in registry if s.queue)}
    return sorted(filter(has_queue, names))


def server_of(queue: str) -> str:
    return repr(sorted(filter_connection_params(django_rq_settings.QUEUES[queue]).items()))


def connect(queue: str, seconds: float) -> Redis:
    """Open a connection to a queue's Redis that cannot hang for longer than `seconds`."""
    connection = django_rq.get_connection(queue)
    if "USE_REDIS_CACHE" in django_rq_settings.QUEUES[queue]:
        # Shared with the site's cache, whose options are not ours to change.
        return connection
    pool = connection.connection_pool
    sentinels = getattr(getattr(pool, "sentinel_manager", None), "sentinels", ())
    for part in (pool, *(sentinel.connection_pool for sentinel in sentinels)):
        options = part.connection_kwargs
        options["socket_timeout"] = options["socket_connect_timeout"] = seconds
        # The relay has its own backoff, and a push that is repeated is a push too many.
        options["retry"] = RedisRetry(NoBackoff(), 0)
    return connection
