"""`manage.py check`: wrong use found before it is three in the morning."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags

from . import conf, payloads, secure
from .check_messages import error, warning
from .database_checks import check_autocommit, check_database_zones, check_sqlite, check_tables
from .events import types
from .exceptions import InvalidEventType
from .subscription_checks import check_default_queue, check_subscriptions

# Seconds. A worker takes about three from getting a job to starting it where each of its calls to
# Redis takes 200 ms; the rest is for a machine that is busy.
SHORTEST_LEASE = 5.0


def register() -> None:
    """Add these checks to Django's."""
    for check in (
        check_settings,
        check_lease,
        check_time_zones,
        check_autocommit,
        check_database_zones,
        check_default_queue,
        check_subscriptions,
        check_event_types,
        check_secure,
    ):
        checks.register(check, "eda_django")
    checks.register(check_tables, Tags.database)
    checks.register(check_sqlite, "eda_django")


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: an unknown or mistyped key of EDA_DJANGO."""
    return [error("E001", problem, "Correct settings.EDA_DJANGO.") for problem in conf.problems()]


def check_lease(**_: Any) -> list[CheckMessage]:
    """W006: a lease so short that deliveries may go round for ever."""
    if conf.problems() or (lease := conf.get("LEASE")) >= SHORTEST_LEASE:
        return []
    return [
        warning(
            "W006",
            f"EDA_DJANGO['LEASE'] is {lease:g} s: if a worker takes longer than that from getting "
            f"a job to starting it, its claim is gone each time, and nothing is ever delivered.",
            f"Set it to {SHORTEST_LEASE:g} or more.",
        )
    ]


def check_time_zones(**_: Any) -> list[CheckMessage]:
    """E007: naive times, which this library's can't be compared with."""
    if settings.USE_TZ:
        return []
    return [
        error(
            "E007",
            "USE_TZ is False: times of events and deliveries would be stored in one zone and read "
            "in another, and the console fails where it compares them.",
            "Set USE_TZ = True. TIME_ZONE may stay as it is.",
        )
    ]


def check_event_types(**_: Any) -> list[CheckMessage]:
    """E005: an event class that pydantic can't read."""
    found: list[CheckMessage] = []
    for declared in types:
        try:
            if declared.payload:
                payloads.adapter(declared.payload)
        except InvalidEventType as problem:
            hint = (
                "Give every field a type that pydantic knows; before Python 3.12 take TypedDict "
                "from typing_extensions."
            )
            found.append(error("E005", str(problem), hint, obj=declared.name))
    return found


def check_secure(**_: Any) -> list[CheckMessage]:
    """E006 and W005: workers that are only half closed to strangers' jobs."""
    found: list[CheckMessage] = [error("E006", text, hint) for text, hint in secure.gaps()]
    if not secure.is_in_use() and not conf.problems() and conf.get("ALLOWED_JOBS"):
        found.append(
            warning(
                "W005",
                "EDA_DJANGO['ALLOWED_JOBS'] is set, and nothing reads it: RQ runs any function.",
                "Set RQ['JOB_CLASS'] = 'eda_django.secure.SecureJob', or remove the key.",
            )
        )
    return found
