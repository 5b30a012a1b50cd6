"""JSON as every supported database takes it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..exceptions import InvalidEvent
from .redaction import described, dotted

# MariaDB reads no deeper than 31, MySQL 100, SQLite 1,000.
MAX_DEPTH = 30
# MySQL makes floats of larger numbers, and loses digits.
MIN_INT, MAX_INT = -(2**63), 2**64 - 1
dumps = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
_LONG_NUMBER = b"0" * 19
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


def as_json(subject: str, tree: Any) -> bytes:
    """Return the JSON of a tree. Raises InvalidEvent, naming the field, if it can't be stored."""
    try:
        written = dumps(tree).encode()
    except (ValueError, RecursionError) as error:
        _refuse(subject, tree)
        raise InvalidEvent(f"{subject}: the payload can't be written as JSON.") from error
    # Looking at every value costs more than writing them all; few payloads need it.
    if is_suspicious(written):
        _refuse(subject, tree)
    return written


def is_suspicious(written: bytes) -> bool:
    """Return whether this JSON may hold what a database refuses; most does not."""
    return (
        written.count(b"[") + written.count(b"{") > MAX_DEPTH
        or b"\\u0000" in written
        # JSON has no such numbers; but a class may have pydantic write them.
        or b"Infinity" in written
        or b"NaN" in written
        # Every digit as a zero: a regular expression would look for the number seven times as long.
        or _LONG_NUMBER in written.translate(_ZEROS)
    )


def text_problem(text: str) -> str:
    """Say why a database would not take the text, or return an empty string."""
    if "\x00" in text:
        return "holds a NUL character, which databases refuse: take it out"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no text: take it out"
    return ""


def _refuse(subject: str, tree: Any) -> None:
    for path, value in _leaves(tree, ()):
        if len(path) > MAX_DEPTH:
            raise InvalidEvent(
                f"{subject}: field {str(path[0])!r} is nested more than {MAX_DEPTH} levels deep, "
                f"which not every database takes."
            )
        if problem := _problem(value):
            raise InvalidEvent(
                f"{subject}: field {dotted(path)!r} {problem}; it is {described(value, path)}."
            )


def _problem(value: Any) -> str:
    if isinstance(value, float):
        return "" if value - value == 0 else "must be a finite number"
    if isinstance(value, int) and not MIN_INT <= value <= MAX_INT:
        return "has more than 64 bits, which not every database keeps: use a Decimal or a text"
    return text_problem(value) if isinstance(value, str) else ""


def _leaves(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    is_too_deep = len(path) > MAX_DEPTH
    if isinstance(tree, Mapping) and not is_too_deep:
        for name, value in tree.items():
            yield (*path, name), name
            yield from _leaves(value, (*path, name))
    elif isinstance(tree, list) and not is_too_deep:
        for index, value in enumerate(tree):
            yield from _leaves(value, (*path, index))
    else:
        yield path, tree
