"""The EDA_DJANGO setting: its keys, types and defaults. Nothing else reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .exceptions import MAX_SECONDS

SETTING = "EDA_DJANGO"
MAX_DAYS = 36_500
# The most rows that one statement names: databases and drivers take so many parameters and no more.
MAX_BATCH = 10_000
# Characters of a name, a key or an address: what their columns take.
MAX_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key of EDA_DJANGO: its default, what it must be, in words, and as a test."""

    default: Any
    must_be: str
    accepts: Callable[[Any], bool]
    help: str


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and "\x00" not in value


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _batch(value: Any) -> bool:
    return _count(value) and value <= MAX_BATCH


def _seconds(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < MAX_SECONDS
    )


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _period(value: Any) -> bool:
    # Databases can't reckon further back than some thousand years.
    return isinstance(value, timedelta) and timedelta(0) < value <= timedelta(days=MAX_DAYS)


def _names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_text, value))


def _paths(value: Any) -> bool:
    return _names(value) and all(map(_is_path, value))


def _is_path(name: str) -> bool:
    return "." in name and all(map(str.isidentifier, name.split(".")))


_NUMBER = f"a number of seconds above 0 and below {MAX_SECONDS:,}"
_COUNT = "a whole number above 0"
_BATCH = f"a whole number from 1 to {MAX_BATCH:,}"

OPTIONS: Mapping[str, Option] = {
    "SOURCE": Option(
        default="django",
        must_be=f"a text of 1 to {MAX_NAME} characters",
        accepts=_text,
        help="Names this site in every event (the CloudEvents source).",
    ),
    "QUEUE": Option(
        default="default",
        must_be="the name of a queue in RQ_QUEUES",
        accepts=_text,
        help="The RQ queue of subscribers that name none; its Redis also carries the doorbell.",
    ),
    "BATCH_SIZE": Option(
        default=500,
        must_be=_BATCH,
        accepts=_batch,
        help="The most events or deliveries that the relay claims in one transaction.",
    ),
    "CHUNK_SIZE": Option(
        default=50,
        must_be=_BATCH,
        accepts=_batch,
        help="The most deliveries that one RQ job carries.",
    ),
    "POLL_INTERVAL": Option(
        default=5.0,
        must_be=_NUMBER,
        accepts=_seconds,
        help="Seconds between two looks at the database when no doorbell rings.",
    ),
    "LEASE": Option(
        default=30.0,
        must_be=_NUMBER,
        accepts=_seconds,
        help="Seconds after which the relay asks what became of a claimed delivery.",
    ),
    "RETENTION": Option(
        default=timedelta(days=30),
        must_be=f"a timedelta above 0 and of at most {MAX_DAYS:,} days",
        accepts=_period,
        help="How long finished events are kept, counted from their fan-out, before they go.",
    ),
    "REQUIRE_ATOMIC": Option(
        default=True,
        must_be="True or False",
        accepts=_flag,
        help="Whether publish() outside transaction.atomic() is an error.",
    ),
    "MAX_EVENT_BYTES": Option(
        default=1_048_576,
        must_be=_COUNT,
        accepts=_count,
        help="The largest payload that publish() accepts, in bytes of JSON.",
    ),
    "REDACT": Option(
        default=(),
        must_be="a list of field names",
        accepts=_names,
        help="Fields of payloads and headers, as they are named in JSON, whose values are masked "
        "in error texts, logs and the admin.",
    ),
    "EDIT_AND_RESEND": Option(
        default=False,
        must_be="True or False",
        accepts=_flag,
        help="Whether operators with the permission may publish edited copies of events.",
    ),
    "ALLOWED_JOBS": Option(
        default=(),
        must_be="a list of dotted names of functions, such as 'shop.jobs.report'",
        accepts=_paths,
        help="The site's own functions that SecureJob lets a worker run, beside the consumer.",
    ),
}


def get(key: str) -> Any:
    """Return one option, read at every call so that `override_settings` works.

    Raises ImproperlyConfigured if EDA_DJANGO as a whole, or this option, is wrong.
    """
    configured = getattr(settings, SETTING, {})
    if not isinstance(configured, Mapping):
        raise ImproperlyConfigured(_not_a_dict(configured))
    option = OPTIONS[key]
    value = configured.get(key, option.default)
    if not option.accepts(value):
        raise ImproperlyConfigured(_wrong_value(key, value))
    return value


def problems() -> list[str]:
    """Return a sentence for everything that is wrong with the EDA_DJANGO setting."""
    configured = getattr(settings, SETTING, {})
    if not isinstance(configured, Mapping):
        return [_not_a_dict(configured)]
    return [
        _unknown_key(key) if key not in OPTIONS else _wrong_value(key, value)
        for key, value in configured.items()
        if key not in OPTIONS or not OPTIONS[key].accepts(value)
    ]


def _not_a_dict(value: object) -> str:
    return f"{SETTING} must be a dict of options, not {value!r}."


def _wrong_value(key: str, value: object) -> str:
    return f"{SETTING}[{key!r}] must be {OPTIONS[key].must_be}, not {value!r}."


def _unknown_key(key: object) -> str:
    close = get_close_matches(str(key).upper(), OPTIONS, n=1)
    guess = f", did you mean {close[0]!r}?" if close else f"; the keys are {', '.join(OPTIONS)}."
    return f"Unknown {SETTING} key {key!r}{guess}"
