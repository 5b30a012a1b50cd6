"""Pydantic's view of an event class: its reader and writer, and its fields."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import InvalidEventType, first_line
from .redaction import is_redacted

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Field(NamedTuple):
    """One field of a payload: its name as REDACT has it, its type as the code has it, its value."""

    name: str
    type: str
    value: Any
    # Its name in the code.
    attribute: str = ""


@cache
def adapter(payload: type) -> "TypeAdapter[Any]":
    """Return pydantic's reader and writer of the class. Raises InvalidEventType if it has none."""
    # Late, because pydantic takes longer to import than the rest of this library together.
    from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter
    from pydantic_core import SchemaError

    try:
        made: TypeAdapter[Any] = TypeAdapter(payload)
        # An unknown name in an annotation would show only when the adapter is used.
        made.rebuild(raise_errors=True)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError, TypeError) as error:
        reason = _innermost(error) if isinstance(error, SchemaError) else first_line(error)
        raise InvalidEventType(f"Event class {payload.__qualname__}: {reason}") from error
    return made


def _innermost(error: Exception) -> str:
    """Return in which field what is wrong, such as a pattern that Python's `re` knows."""
    lines = [line.strip().removeprefix("SchemaError: ") for line in str(error).splitlines()]
    fields = [line for line in lines[:-1] if line.startswith("Field ")]
    return " ".join([*fields, lines[-1].removeprefix("error: ")])


def has_fields(value: object) -> bool:
    """Return whether this is an instance of a dataclass or a pydantic model."""
    return not isinstance(value, type) and (
        dataclasses.is_dataclass(value) or hasattr(value, "__pydantic_validator__")
    )


def fields_of(payload: Any) -> list[Field]:
    """Return the fields of an instance of a dataclass or a pydantic model."""
    private = private_names(type(payload))
    return [
        Field(private.get(name, name), _spelled(annotation), getattr(payload, name, None), name)
        for name, annotation in _annotations(type(payload)).items()
    ]


def private_names(payload: type) -> dict[str, str]:
    """Return what REDACT calls fields that have another name in the code: by that name.

    Also those of the classes within, because where a value stands is known by names alone.
    """
    return {name: alias for name, alias in json_names(payload).items() if is_redacted(alias)}


@cache
def json_names(payload: type) -> Mapping[str, str]:
    """Return the names in JSON, by the names in the code, of the fields that have two."""
    try:
        return dict(_aliases_in(adapter(payload).core_schema))
    except InvalidEventType:
        # Pydantic reads this class as a part of another one only.
        return {}


def _aliases_in(schema: Any) -> Iterator[tuple[str, str]]:
    parts = schema.items() if isinstance(schema, Mapping) else enumerate(schema)
    for name, part in parts:
        if isinstance(part, Mapping) and (alias := part.get("serialization_alias")):
            # Of a model it is the key, of a dataclass it stands within.
            yield part.get("name", name), alias
        if isinstance(part, Mapping | list | tuple):
            yield from _aliases_in(part)


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
