"""Pydantic's view of an event class: its reader and writer, and its fields."""

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import InvalidEventType, first_line

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Field(NamedTuple):
    """One field of a payload; the type is as the code spells it."""

    name: str
    type: str
    value: Any


@cache
def adapter(payload: type) -> "TypeAdapter[Any]":
    """Return pydantic's reader and writer of the class. Raises InvalidEventType if it has none."""
    # Late, because pydantic takes longer to import than the rest of this library together.
    from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter

    try:
        made: TypeAdapter[Any] = TypeAdapter(payload)
        # An unknown name in an annotation would show only when the adapter is used.
        made.rebuild(raise_errors=True)
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as error:
        reason = first_line(error)
        raise InvalidEventType(f"Event class {payload.__qualname__}: {reason}") from error
    return made


def has_fields(value: object) -> bool:
    """Return whether this is an instance of a dataclass or a pydantic model."""
    return not isinstance(value, type) and (
        dataclasses.is_dataclass(value) or hasattr(value, "__pydantic_validator__")
    )


def fields_of(payload: Any) -> list[Field]:
    """Return the fields of an instance of a dataclass or a pydantic model."""
    return [
        Field(name, _spelled(annotation), getattr(payload, name, None))
        for name, annotation in _annotations(type(payload)).items()
    ]


def attributes_of(payload: Any) -> list[str]:
    """Return the names of an instance's fields, as they stand in the code."""
    return list(_annotations(type(payload)))


def field_names(payload: type) -> list[str]:
    """Return the names of a payload class's fields, as they stand in JSON."""
    if hasattr(payload, "model_fields"):
        return [field.alias or name for name, field in payload.model_fields.items()]
    return sorted(_annotations(payload))


def _annotations(payload: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(payload):
        return {field.name: field.type for field in dataclasses.fields(payload)}
    if hasattr(payload, "__pydantic_validator__"):
        return {name: field.annotation for name, field in payload.model_fields.items()}
    return dict.fromkeys(payload.__required_keys__ | payload.__optional_keys__)


def _spelled(annotation: Any) -> str:
    if isinstance(annotation, type):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
