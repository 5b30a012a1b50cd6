"""Unions: JSON has fewer types than Python, so a member may come back as another one."""

import dataclasses
from collections.abc import Iterable
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

# What JSON has itself comes back, whatever else is in the union; but see misread().
_JSON = frozenset({str, int, float, bool, list, dict, NoneType})


@cache
def has_unions(payload: type) -> bool:
    """Return whether some field, here or in a class within, holds what may come back changed."""
    seen: set[type] = set()
    todo = [payload]
    while todo:
        holder = todo.pop()
        if holder not in seen:
            seen.add(holder)
            if union_members(holder):
                return True
            for hint in _hints(holder).values():
                todo += _Look(hint).holders
    return False


@cache
def union_members(payload: type) -> dict[str, frozenset[type]]:
    """Return the types in each field's unions, for the fields where they may be taken for others.

    A field that allows anything somewhere is not among them: its values are not told apart.
    """
    found = {}
    for name, hint in _hints(payload).items():
        look = _Look(hint)
        if not look.is_loose and look.members - _JSON:
            found[name] = frozenset(look.members)
    return found


def member_of(value: object, members: Iterable[type]) -> type | None:
    """Return which of these types the value is of, the closest one; None if it is of none."""
    return next((kind for kind in type(value).__mro__ if kind in members), None)


def misread(before: object, after: object, members: frozenset[type]) -> type | None:
    """Return the union's type that the value had, if what is read is of another one."""
    kind = member_of(before, members)
    if kind is None or member_of(after, members) is kind:
        return None
    if kind is str:
        # A text that is just how the other type is written loses nothing, and may be one: what
        # an operator edits and sends again is texts. "1" as a datetime is another matter.
        from pydantic_core import to_jsonable_python

        return None if to_jsonable_python(after) == before else str
    return None if kind in _JSON else kind


class _Look:
    """What an annotation is made of: the members of its unions, and the classes with fields."""

    def __init__(self, hint: Any) -> None:
        self.members: set[type] = set()
        self.holders: set[type] = set()
        self.is_loose = False
        # Aliases and typed dicts may hold themselves.
        self._seen: set[int] = set()
        self._at(hint, in_union=False)

    def _at(self, hint: Any, *, in_union: bool) -> None:
        origin, parts = get_origin(hint), get_args(hint)
        if hint is Any or hint is object or isinstance(hint, TypeVar | ForwardRef | str):
            self.is_loose = True
        elif origin is Annotated:
            self._at(parts[0], in_union=in_union)
        elif origin is Union or origin is UnionType:
            # What may be None besides is no choice: JSON's null is nothing else.
            is_choice = len([part for part in parts if part is not NoneType]) > 1
            self._all(parts, in_union=in_union or is_choice)
        elif origin is Literal:
            self.members.update(map(type, parts))
        elif hasattr(origin or hint, "__value__"):
            self._alias(origin or hint, in_union=in_union)
            self._all(parts, in_union=False)
        else:
            self._type(origin or hint, in_union=in_union)
            self._all(parts, in_union=False)

    def _all(self, hints: Iterable[Any], *, in_union: bool) -> None:
        for hint in hints:
            self._at(hint, in_union=in_union)

    def _alias(self, alias: Any, *, in_union: bool) -> None:
        if id(alias) not in self._seen:
            self._seen.add(id(alias))
            self._at(alias.__value__, in_union=in_union)

    def _type(self, kind: Any, *, in_union: bool) -> None:
        if not isinstance(kind, type):
            return
        if _is_holder(kind):
            self.holders.add(kind)
            return
        if in_union:
            self.members.add(kind)
        # A TypedDict or a NamedTuple: its fields are not looked at on their own.
        is_record = hasattr(kind, "__total__") or hasattr(kind, "_fields")
        if is_record and id(kind) not in self._seen:
            self._seen.add(id(kind))
            self._all(_hints(kind).values(), in_union=False)


def _is_holder(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or hasattr(kind, "__pydantic_validator__")


def _hints(payload: type) -> dict[str, Any]:
    if hasattr(payload, "model_fields") and not dataclasses.is_dataclass(payload):
        return {name: field.annotation for name, field in payload.model_fields.items()}
    try:
        return get_type_hints(payload)
    except Exception:
        # A name that only type checkers can see, or one that is local to a function.
        return {}
