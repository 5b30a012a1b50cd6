"""What a job may say: whose claim it is, and which deliveries. Anyone may have written it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections

from .conf import MAX_BATCH
from .exceptions import MAX_SECONDS, RefusedJob

# The largest id that a table can have.
MAX_ID = 2**63 - 1
# A UUID with its dashes.
MAX_TOKEN = 36
MAX_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job's arguments, checked."""

    ids: tuple[int, ...]
    token: UUID
    using: str
    timeout: float | None


def checked(delivery_ids: object, *, token: object, using: object, timeout: object) -> Claim:
    """Return what a job says. Raises RefusedJob for anything that no relay would have pushed."""
    return Claim(
        ids=tuple(_ids(delivery_ids)),
        token=_token(token),
        using=_alias(using),
        timeout=_seconds(timeout),
    )


def shown(value: object) -> str:
    """Return a stranger's value as a text may hold it: short, or its type alone."""
    if isinstance(value, str | int | float | None) and len(text := _repr(value)) <= MAX_SHOWN:
        return text
    return f"a {type(value).__qualname__}"


def _repr(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        # Python refuses to write numbers of more than 4,300 digits.
        return " " * (MAX_SHOWN + 1)


def _ids(value: object) -> Sequence[int]:
    if not isinstance(value, list | tuple):
        raise RefusedJob(f"delivery_ids must be a list of ids, not {shown(value)}.")
    if len(value) > MAX_BATCH:
        raise RefusedJob(f"delivery_ids may have {MAX_BATCH:,} ids, it has {len(value):,}.")
    for pk in value:
        # Not isinstance(): True is an int, too.
        if type(pk) is not int or not 0 < pk <= MAX_ID:
            raise RefusedJob(f"delivery_ids has {shown(pk)}, which is no id of a delivery.")
    return value


def _token(value: object) -> UUID:
    try:
        if isinstance(value, str) and len(value) <= MAX_TOKEN:
            return UUID(value)
    except ValueError:
        pass
    raise RefusedJob(f"token must be a UUID, not {shown(value)}.")


def _alias(value: object) -> str:
    if not isinstance(value, str) or value not in connections.settings:
        raise RefusedJob(f"using must be an alias in settings.DATABASES, not {shown(value)}.")
    if not connections.settings[value]["AUTOCOMMIT"]:
        # The subscribers would run after each lease anew, and nothing of it be kept.
        raise RefusedJob(f"using is {value!r}, whose AUTOCOMMIT is off in settings.DATABASES.")
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    # Not isinstance(): True is an int, too. Not-a-number fails the comparison.
    if type(value) in (int, float) and 0 < value <= MAX_SECONDS:
        return float(value)
    raise RefusedJob(
        f"timeout must be a number of seconds up to {MAX_SECONDS:,}, or None, not {shown(value)}."
    )
