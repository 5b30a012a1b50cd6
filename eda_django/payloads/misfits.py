"""What InvalidEvent says of a payload: which field does not fit, why, and the way out."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from ..exceptions import EdaError, InvalidEvent, InvalidEventType
from .adapters import Field, adapter, field_names, fields_of, has_fields, private_names
from .redaction import described, dotted, redacted_values, without
from .trees import MAX_DEPTH, text_problem

if TYPE_CHECKING:
    from pydantic import ValidationError

Path = tuple[object, ...]
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


class TooDeep(Exception):
    """The payload is nested too deep, or without end."""


def errors_of(error: "ValidationError") -> list[Any]:
    return error.errors(include_url=False, include_context=False)


def refuse(
    subject: str, declared: type, error: Exception, payload: Any, *, reading: bool = False
) -> NoReturn:
    """Raise InvalidEvent for what came of making a payload, or of reading it again."""
    # Here, because what is published without an error need not find it.
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        refuse_raising(subject, declared, error)
    # A dict may have the names of the code, where REDACT has those of JSON.
    names = private_names(declared)
    secrets = list(redacted_values(_renamed(payload, names)))
    found = [(tuple(names.get(part, part) for part in e["loc"]), e) for e in errors_of(error)]
    said = [
        f"field {dotted(path)!r}: {_complaint(e, path, secrets)}"
        if path
        else _complaint(e, path, secrets)
        for path, e in found
    ]
    after = " Its subscribers could not read what this class writes." if reading else ""
    # No cause: pydantic's own text would show the values that are to be masked.
    raise InvalidEvent(f"{subject}: {'; '.join(said)}.{after}") from None


def refuse_raising(subject: str, payload: type, error: Exception) -> NoReturn:
    """Raise InvalidEvent for a class that checks itself and raises what pydantic does not know."""
    if isinstance(error, EdaError):
        raise error
    # Neither text nor cause: they may quote what is to be masked.
    raise InvalidEvent(
        f"{subject}: {payload.__qualname__} raised {type(error).__qualname__} when it was read. "
        f"Let what checks it raise ValueError, whose text is shown."
    ) from None


def refuse_unknown(subject: str, names: list[str], payload: type) -> NoReturn:
    """Raise InvalidEvent for fields that the class has not: they would be lost."""
    known = field_names(payload)
    close = get_close_matches(names[0], known, n=1)
    guess = f", did you mean {close[0]!r}?" if close else f"; it has {', '.join(known)}."
    raise InvalidEvent(
        f"{subject}: {payload.__qualname__} has no field {', '.join(map(repr, names))}{guess}"
    )


def refuse_unwritable(subject: str, payload: Any) -> NoReturn:
    """Raise InvalidEvent for the field that pydantic could not write."""
    try:
        found = _unwritable(payload, ())
    except TooDeep as error:
        raise InvalidEvent(
            f"{subject}: field {str(error)!r} is nested more than {MAX_DEPTH} levels deep, or "
            f"holds itself."
        ) from None
    path, problem = found or ((), "the payload can't be written as JSON.")
    where = f"field {dotted(path)!r} " if path else ""
    raise InvalidEvent(f"{subject}: {where}{problem}") from None


def is_unknown(error: Any) -> bool:
    """Return whether pydantic refuses a name at the top of the payload."""
    return error["type"] in UNKNOWN and len(error["loc"]) == 1


def _renamed(tree: Any, names: Mapping[str, str]) -> Any:
    """Return a payload with the names of these fields as REDACT has them."""
    if isinstance(tree, Mapping):
        return {names.get(name, name): _renamed(value, names) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_renamed(value, names) for value in tree]
    return tree


def _complaint(error: Any, path: Path, secrets: list[str]) -> str:
    if error["type"] in MISSING:
        return "it is missing"
    return f"{without(error['msg'], secrets)}, not {described(error['input'], path)}"


def _unwritable(holder: Any, path: Path) -> tuple[Path, str] | None:
    """Return the innermost part that can't be written, and what is wrong with it."""
    if len(path) > MAX_DEPTH:
        raise TooDeep(path[0])
    for part in _parts(holder):
        if has_fields(holder) and _is_writable(holder, part):
            continue
        at = (*path, part.name)
        if problem := text_problem(part.name):
            return at, f"has a name that {problem}."
        if deeper := _unwritable(part.value, at):
            return deeper
        if not _is_writable(holder, part):
            return at, _unwritable_text(part, at)
    return None


def _parts(holder: Any) -> Iterator[Field]:
    if has_fields(holder):
        yield from fields_of(holder)
    elif isinstance(holder, Mapping):
        yield from (Field(str(name), "", value) for name, value in holder.items())
    elif isinstance(holder, list | tuple | set | frozenset):
        yield from (Field(str(index), "", value) for index, value in enumerate(holder))


def _is_writable(holder: Any, part: Field) -> bool:
    from pydantic_core import to_jsonable_python

    kind: Any = type(holder)
    try:
        if has_fields(holder):
            adapter(kind).dump_python(
                holder, mode="json", include={part.attribute}, warnings="error"
            )
        else:
            to_jsonable_python(part.value)
    except (ValueError, RecursionError):
        return False
    except InvalidEventType:
        # Pydantic reads this class as a part of another one only.
        return True
    return True


def _unwritable_text(part: Field, path: Path) -> str:
    value = described(part.value, path)
    if isinstance(part.value, bytes):
        remedy = "declare it as pydantic.Base64Bytes" if part.type else "encode it, as base64 does"
        return f"holds {value}, and JSON has texts only: {remedy}."
    if not part.type:
        return f"holds {value}, which JSON can't: use texts, numbers, lists and dicts."
    return f"is declared as {part.type} and can't be written from {value}."
