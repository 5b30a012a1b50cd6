"""What publish() and publish_many() are called with: checked, and brought into one form."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from .conf import MAX_NAME
from .events import Event, EventType, check_name, is_payload_class, types
from .exceptions import InvalidEvent
from .payloads import described, encode_headers, text_problem

MISSING: Any = object()
# Characters of a text that is too long.
SHOWN = 40
SHORTEN = "take a shorter one, such as a hash of it"


def resolve(event: Any, payload: Any = MISSING) -> tuple[EventType, Any]:
    """Return the event type and the payload that are meant. Raises InvalidEvent if none is."""
    if isinstance(event, str):
        declared = types.get(check_name(event)) or EventType(name=event)
    elif isinstance(event, type):
        declared = _declared(event)
    elif payload is not MISSING:
        raise InvalidEvent(
            f"publish() got a payload of type {type(event).__qualname__} and a second payload: "
            f"give the event's class or name first, then its payload."
        )
    else:
        return _declared(type(event), event), event
    if payload is MISSING:
        raise InvalidEvent(f"Event {declared.name!r} needs a payload: publish(name, payload).")
    return declared, payload


def _declared(payload_class: type, payload: Any = MISSING) -> EventType:
    if declared := types.of_class(payload_class):
        return declared
    if isinstance(payload, Event):
        raise InvalidEvent(
            f"publish() takes a payload, not the envelope of {payload.type!r}: pass event.data."
        )
    if payload is not MISSING and not is_payload_class(payload_class):
        raise InvalidEvent(
            f"publish() takes an instance of a class decorated with @event, or a name and a dict, "
            f"not {described(payload)}."
        )
    raise InvalidEvent(
        f"{payload_class.__qualname__} is not declared as an event: decorate it with "
        f'@event("app.what_happened"), or publish a name and a dict.'
    )


def is_pair(item: Any) -> bool:
    """Return whether this is an event's class or name together with its payload."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | type)


def several(events: Any) -> Iterable[Any]:
    """Return the events to publish. Raises InvalidEvent for a single one."""
    # Pydantic models and dicts can be iterated too, over their fields.
    is_one = isinstance(events, str | Mapping) or is_payload_class(type(events))
    if is_one or not isinstance(events, Iterable):
        raise InvalidEvent(
            f"publish_many() takes a list of events, not {described(events)}; publish() takes one."
        )
    return events


def as_text(option: str, value: object) -> str:
    """Return a key as it is stored. Raises InvalidEvent, naming the option, if it can't be one."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (is_number or isinstance(value, str | UUID)):
        raise InvalidEvent(
            f"{option} must be a text, a whole number or a UUID, not {described(value)}."
        )
    try:
        text = str(value)
    except ValueError:
        # Python refuses to write numbers of more than 4,300 digits.
        problem = f"is a number of thousands of digits, and may have {MAX_NAME}"
        raise InvalidEvent(f"{option} {problem}: {SHORTEN}.") from None
    if len(text) > MAX_NAME:
        raise InvalidEvent(
            f"{option}={text[:SHOWN]!r}… has {len(text)} characters, and may have {MAX_NAME}: "
            f"{SHORTEN}."
        )
    if problem := text_problem(text):
        raise InvalidEvent(f"{option}={text!r} {problem}.")
    return text


def named(option: str, value: object) -> str | None:
    """Return a key, or None for none. Raises InvalidEvent for an empty one."""
    if value is None:
        return None
    if not (text := as_text(option, value)):
        raise InvalidEvent(f"{option}={value!r} must not be empty; leave it out instead.")
    return text


def checked_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the headers as JSON's own types. Raises InvalidEvent, naming the header."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise InvalidEvent(f"headers must be a dict of JSON values, not {described(headers)}.")
    return encode_headers(headers)
