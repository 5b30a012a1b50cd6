"""From a payload to JSON and back, by the types that its class declares."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from . import conf
from .events import EventType
from .exceptions import InvalidEvent, InvalidEventType, UndecodablePayload

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

MASK = "***"
_dumps = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def encode(declared: EventType, payload: Any) -> tuple[Any, Any]:
    """Return the payload as its declared class, and as JSON's own types, sure to decode again.

    Raises InvalidEvent, naming the field, if the payload is of another type than declared, holds
    what JSON or the database can't, or is larger than MAX_EVENT_BYTES.
    """
    value, tree = _typed(declared, payload) if declared.payload else _untyped(declared, payload)
    try:
        text = _dumps(tree)
        size = len(text.encode())
    except (ValueError, RecursionError):
        _refuse_tree(declared, tree)
    if "\\u0000" in text:
        _refuse_tree(declared, tree)
    limit = conf.get("MAX_EVENT_BYTES")
    if size > limit:
        raise InvalidEvent(
            f"Event {declared.name!r}: the payload has {size} bytes, more than MAX_EVENT_BYTES "
            f"({limit}). Store the large part elsewhere and publish its key."
        )
    if declared.payload:
        _check_round_trip(declared, text)
    return value, tree


def decode(declared: EventType | None, *, version: int, tree: Any) -> Any:
    """Return the payload as the declared class, or as it is where the code declares none.

    Raises UndecodablePayload if the running code can't read it; the text holds no value of it.
    """
    if declared is None or declared.payload is None:
        return tree
    if version > declared.version:
        raise UndecodablePayload(
            f"no running code knows version {version} of {declared.name!r}, this code knows "
            f"version {declared.version}"
        )
    from pydantic import ValidationError

    try:
        return adapter(declared.payload).validate_json(_dumps(tree))
    except ValidationError as error:
        fields = ", ".join(sorted({_dotted(e["loc"]) for e in _errors(error)}))
        raise UndecodablePayload(
            f"no running code knows how to read this payload of {declared.name!r}: "
            f"it does not fit {declared.payload.__qualname__} at {fields}"
        ) from None


@cache
def adapter(payload: type) -> "TypeAdapter[Any]":
    """Return pydantic's reader and writer of the class. Raises InvalidEventType if it has none."""
    # Late, because pydantic takes longer to import than the rest of this library together.
    from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(payload)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = str(error).splitlines()[0]
        raise InvalidEventType(f"Event class {payload.__qualname__}: {reason}") from error


def is_redacted(name: object) -> bool:
    return name in conf.get("REDACT")


def redacted_values(tree: Any) -> Iterator[str]:
    """Yield the texts in a payload that must not appear anywhere else."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if is_redacted(name):
                yield from _texts(value)
            else:
                yield from redacted_values(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from redacted_values(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)


def _typed(declared: EventType, payload: Any) -> tuple[Any, Any]:
    from pydantic import ValidationError
    from pydantic_core import PydanticSerializationError

    assert declared.payload is not None
    known = adapter(declared.payload)
    if isinstance(payload, dict):
        try:
            payload = known.validate_python(payload)
        except ValidationError as error:
            _refuse_errors(declared, error)
    elif not isinstance(payload, declared.payload):
        raise InvalidEvent(
            f"Event {declared.name!r} needs a payload of type {declared.payload.__qualname__} or "
            f"a dict of its fields, not {type(payload).__qualname__}."
        )
    try:
        tree = known.dump_python(payload, mode="json", by_alias=True, warnings="error")
    except (PydanticSerializationError, UnicodeError, RecursionError) as error:
        _refuse_field(
            declared,
            payload,
            lambda name: known.dump_python(
                payload, mode="json", include={name}, by_alias=True, warnings="error"
            ),
            error,
        )
    return payload, tree


def _untyped(declared: EventType, payload: Any) -> tuple[Any, Any]:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if not isinstance(payload, dict):
        raise InvalidEvent(
            f"Event {declared.name!r} is declared without a class, so its payload must be a dict, "
            f"not {type(payload).__qualname__}. Declare its class with @event({declared.name!r})."
        )
    if odd := next((name for name in payload if not isinstance(name, str)), None):
        raise InvalidEvent(f"Event {declared.name!r}: the field name {odd!r} must be a text.")
    try:
        return payload, to_jsonable_python(payload)
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        _refuse_field(declared, payload, lambda name: to_jsonable_python(payload[name]), error)


def _check_round_trip(declared: EventType, text: str) -> None:
    # A dataclass takes any value when it is made, and a model may write what it can't read.
    # Better an error in the caller now than a subscriber that can never start.
    from pydantic import ValidationError

    assert declared.payload is not None
    try:
        adapter(declared.payload).validate_json(text)
    except ValidationError as error:
        _refuse_errors(declared, error)


def _refuse_errors(declared: EventType, error: "ValidationError") -> NoReturn:
    said = [f"field {_dotted(e['loc'])!r}: {_complaint(e)}" for e in _errors(error)]
    # No cause: pydantic's own text would show the values that are to be masked.
    raise InvalidEvent(f"Event {declared.name!r}: {'; '.join(said)}.") from None


def _complaint(error: Any) -> str:
    if error["type"] in ("missing", "missing_argument"):
        return "it is missing"
    return f"{error['msg']}, not {_shown(error['loc'], error['input'])}"


def _refuse_field(
    declared: EventType, payload: Any, write: Callable[[str], Any], error: Exception
) -> NoReturn:
    for name, value in _fields(payload):
        try:
            write(name)
        except (ValueError, RecursionError):
            raise InvalidEvent(
                f"Event {declared.name!r}: field {name!r} can't be encoded as it is declared, its "
                f"value is {_shown((name,), value)} ({type(value).__qualname__})."
            ) from None
    raise InvalidEvent(f"Event {declared.name!r}: the payload can't be encoded.") from error


def _refuse_tree(declared: EventType, tree: Any) -> NoReturn:
    for path, value in _leaves(tree, ()):
        if problem := _leaf_problem(value):
            raise InvalidEvent(
                f"Event {declared.name!r}: field {_dotted(path)!r} {problem}, its value is "
                f"{_shown(path, value)}."
            )
    raise InvalidEvent(f"Event {declared.name!r}: the payload can't be written as JSON.")


def _leaf_problem(value: Any) -> str:
    if isinstance(value, float):
        return "" if value - value == 0 else "must be a finite number"
    return text_problem(value) if isinstance(value, str) else ""


def text_problem(text: str) -> str:
    """Say why a database would not take the text, or return an empty string."""
    if "\x00" in text:
        return "holds a NUL character, which databases refuse"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no text"
    return ""


def _leaves(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield (*path, name), name
            yield from _leaves(value, (*path, name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _leaves(value, (*path, index))
    else:
        yield path, tree


def _fields(payload: Any) -> list[tuple[str, Any]]:
    if isinstance(payload, Mapping):
        return list(payload.items())
    if dataclasses.is_dataclass(payload):
        return [(f.name, getattr(payload, f.name, None)) for f in dataclasses.fields(payload)]
    return [(name, getattr(payload, name, None)) for name in type(payload).model_fields]


def _errors(error: "ValidationError") -> list[Any]:
    return error.errors(include_url=False, include_context=False)


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "(the whole payload)"


def _shown(path: tuple[Any, ...], value: Any) -> str:
    if any(is_redacted(part) for part in path):
        return MASK
    # A whole payload, or a part that holds redacted fields, says nothing that the path does not.
    if isinstance(value, dict | list | tuple) or dataclasses.is_dataclass(value):
        return f"a {type(value).__qualname__}"
    try:
        text = ascii(value)
    except Exception as error:
        return f"a {type(value).__qualname__} whose repr() raises {type(error).__qualname__}"
    return text if len(text) <= 100 else f"{text[:97]}..."


def masked(tree: Any) -> Any:
    """Return the payload with the values of the fields named in REDACT masked."""
    if isinstance(tree, Mapping):
        return {name: MASK if is_redacted(name) else masked(value) for name, value in tree.items()}
    return [masked(value) for value in tree] if isinstance(tree, list) else tree
