"""encode() and decode(): a payload and its JSON."""

import json
from collections.abc import Mapping
from typing import Any

from .. import conf
from ..events import EventType
from ..exceptions import InvalidEvent, UndecodablePayload
from . import misfits
from .adapters import adapter, field_names
from .losses import infinite, lost, unsteady
from .redaction import described, dotted
from .trees import as_json, dumps, is_suspicious
from .unions import has_unions

# In the place of a tree whose JSON has nothing suspicious in it.
NOT_NEEDED: Any = object()


def encode(declared: EventType, payload: Any) -> tuple[Any, str]:
    """Return the payload as its declared class, and as JSON that is sure to decode again.

    Raises InvalidEvent, naming the field, if the payload is of another type than declared, holds
    what JSON or the database can't, or is larger than MAX_EVENT_BYTES.
    """
    subject = f"Event {declared.name!r}"
    if declared.payload is None:
        if not isinstance(payload, dict):
            raise InvalidEvent(
                f"{subject} has no declared class, so its payload must be a dict, not "
                f"{_shown(payload)}. Look at the name, or declare its class with "
                f"@event({declared.name!r})."
            )
        return payload, _checked(subject, _untyped(subject, payload)).decode()
    value = _as_declared(subject, declared.payload, payload)
    written = _written(subject, declared.payload, value)
    _check_round_trip(subject, declared.payload, value, written)
    return value, written.decode()


def encode_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's headers as JSON's own types. Raises InvalidEvent, naming the header."""
    tree = _untyped("headers", dict(headers))
    _checked("headers", tree)
    return dict(tree)


def decode(declared: EventType | None, *, version: int, tree: Any) -> Any:
    """Return the payload as the declared class, or as it is where the code declares none.

    Raises UndecodablePayload if the running code can't read it; the text holds no value of it.
    """
    if declared is None or declared.payload is None:
        return tree
    return decode_text(declared, version=version, text=dumps(tree))


def decode_text(declared: EventType | None, *, version: int, text: str) -> Any:
    """Do what decode() does, with the payload's JSON as text."""
    if declared is None or declared.payload is None:
        return json.loads(text)
    if version > declared.version:
        raise UndecodablePayload(
            f"no running code knows version {version} of {declared.name!r}, this code knows "
            f"version {declared.version}"
        )
    try:
        return adapter(declared.payload).validate_json(text)
    except Exception as error:
        # Not only what pydantic raises: a class may check itself, and raise what it likes. That
        # must cost no attempt, and may be mended by newer code.
        raise UndecodablePayload(
            f"no running code knows how to read this payload of {declared.name!r}: "
            f"{_unreadable(declared.payload, error)}"
        ) from None


def _unreadable(payload: type, error: Exception) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return f"{payload.__qualname__} raised {type(error).__qualname__}"
    paths = sorted({dotted(e["loc"]) for e in misfits.errors_of(error)})
    fields = ", ".join(filter(None, paths)) or "no field in particular"
    return f"it does not fit {payload.__qualname__} at {fields}"


def _as_declared(subject: str, declared: type, payload: Any) -> Any:
    """Return an instance of the declared class, made from a dict if it is one."""
    if isinstance(payload, dict):
        return _from_dict(subject, declared, payload)
    # A TypedDict has no instances: nothing but a dict can be one.
    if issubclass(declared, dict) or not isinstance(payload, declared):
        raise InvalidEvent(
            f"{subject} needs a payload of type {declared.__qualname__} or a dict of its fields, "
            f"not {_shown(payload)}."
        )
    return payload


def _shown(payload: Any) -> str:
    # A text may be the payload's own JSON: then it is as private as what REDACT names in it.
    is_text = isinstance(payload, str)
    text = payload if is_text else repr(payload) if isinstance(payload, bytes) else ""
    return described(payload, tuple(name for name in conf.get("REDACT") if name in text))


def _from_dict(subject: str, declared: type, payload: dict[Any, Any]) -> Any:
    if unknown := _unknown_names(subject, declared, payload):
        misfits.refuse_unknown(subject, unknown, declared)
    try:
        return adapter(declared).validate_python(payload)
    except Exception as error:
        misfits.refuse(subject, declared, error, payload)


def _unknown_names(subject: str, declared: type, payload: dict[Any, Any]) -> list[str]:
    """Return the names that pydantic would drop; none if the class says what becomes of them."""
    from pydantic import ValidationError

    config = getattr(declared, "model_config", None) or getattr(declared, "__pydantic_config__", {})
    if "extra" in config or payload.keys() <= set(field_names(declared)):
        return []
    try:
        adapter(declared).validate_python(payload, extra="forbid")
    except ValidationError as error:
        return [str(e["loc"][0]) for e in misfits.errors_of(error) if misfits.is_unknown(e)]
    except Exception as error:
        misfits.refuse_raising(subject, declared, error)
    return []


def _written(subject: str, declared: type, payload: Any) -> bytes:
    """Return the JSON of an instance, written once: an iterator in it has nothing to give twice."""
    try:
        written = adapter(declared).serializer.to_json(
            payload, by_alias=True, round_trip=True, warnings="error"
        )
        tree = json.loads(written) if is_suspicious(written) else NOT_NEEDED
    except (ValueError, RecursionError):
        # There the field can be found.
        tree = _typed(subject, declared, payload)
    return _limited(subject, written) if tree is NOT_NEEDED else _checked(subject, tree)


def _typed(subject: str, declared: type, payload: Any) -> Any:
    try:
        # round_trip leaves out what can't be read again: computed fields.
        return adapter(declared).dump_python(
            payload, mode="json", by_alias=True, round_trip=True, warnings="error"
        )
    except (ValueError, RecursionError):
        misfits.refuse_unwritable(subject, payload)


def _untyped(subject: str, payload: dict[Any, Any]) -> Any:
    from pydantic_core import to_jsonable_python

    for name in payload:
        if not isinstance(name, str):
            raise InvalidEvent(
                f"{subject}: the name {name!r} must be a text, as every name in JSON is."
            )
    try:
        return to_jsonable_python(payload)
    except (ValueError, RecursionError):
        misfits.refuse_unwritable(subject, payload)


def _checked(subject: str, tree: Any) -> bytes:
    """Return the JSON of a tree that a database takes and that is not too large."""
    return _limited(subject, as_json(subject, tree))


def _limited(subject: str, written: bytes) -> bytes:
    if len(written) > (limit := conf.get("MAX_EVENT_BYTES")):
        raise InvalidEvent(
            f"{subject}: the JSON has {len(written)} bytes, more than MAX_EVENT_BYTES ({limit}). "
            f"Store the large part elsewhere and publish its key."
        )
    return written


def _check_round_trip(subject: str, declared: type, value: Any, written: bytes) -> None:
    # A dataclass takes any value when it is made, and a model may write what it can't read.
    # Better an error in the caller now than a subscriber that can never start, or reads less.
    if b"null" in written:
        _refuse_lost(subject, infinite(value, json.loads(written)))
    try:
        again = adapter(declared).validator.validate_json(written)
    except Exception as error:
        misfits.refuse(subject, declared, error, json.loads(written), reading=True)
    is_equal = again == value
    # In a union, what is equal may be of another type: a member of a StrEnum is equal to a text.
    if not is_equal or has_unions(declared):
        _refuse_lost(subject, lost(value, again, declared))
    if not is_equal:
        _check_steadiness(subject, declared, again)


def _refuse_lost(subject: str, found: tuple[tuple[object, ...], str] | None) -> None:
    if found:
        path, problem = found
        raise InvalidEvent(f"{subject}: {_where(path)} {problem}.")


def _check_steadiness(subject: str, declared: type, again: Any) -> None:
    """Refuse what is another value each time that it is read, and not only another spelling."""
    try:
        first = _written(subject, declared, again)
        second = _written(subject, declared, adapter(declared).validate_json(first))
    except (InvalidEvent, ValueError):
        # It can't be told.
        return
    except Exception as error:
        # Not passed over: it may be the end of a subscriber's time.
        misfits.refuse_raising(subject, declared, error)
    path = unsteady(json.loads(first), json.loads(second))
    if path is not None:
        raise InvalidEvent(
            f"{subject}: {_where(path)} is another value each time that it is read: a validator "
            f"changes it, so publish what that returns and have it leave that alone, or "
            f"init=False has each reader make one."
        )


def _where(path: tuple[object, ...]) -> str:
    return f"field {dotted(path)!r}" if path else "the payload"
