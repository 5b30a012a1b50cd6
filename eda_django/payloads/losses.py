"""What a payload would lose on its way through JSON without any error."""

import dataclasses
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from .adapters import attributes_of, has_fields, json_names
from .redaction import described
from .trees import dumps, text_problem
from .unions import member_of, misread, union_members

Path = tuple[object, ...]
Members = frozenset[type]
_NO_UNION: Members = frozenset()
# Pydantic reads these from a text, if the union does not say str before.
_TEXTS = (Decimal, date, time, timedelta, UUID, bytes)
# What pydantic writes as a list, in its own order, and can be gone through twice.
_ROWS = (list, tuple, set, frozenset, deque)


def lost(before: Any, after: Any, declared: type) -> tuple[Path, str] | None:
    """Return the first part that subscribers would read differently, and why.

    Plain values may change their type (a Decimal in a dict[str, Any] becomes a text): that is
    what a field asks for that declares no type. In a union they may not: it declares several.
    """
    if issubclass(declared, dict):
        members = union_members(declared)
        return _lost_items(before, after, (), lambda name: members.get(name, _NO_UNION))
    return _lost(before, after, (), _NO_UNION)


def _lost(before: Any, after: Any, path: Path, members: Members) -> tuple[Path, str] | None:
    if _is_secret(before) and before != after:
        return path, "is a secret that pydantic writes as asterisks: declare a str, and REDACT it"
    if has_fields(before) and has_fields(after):
        return _lost_fields(before, after, path)
    if kind := misread(before, after, members):
        return path, _misread(kind, after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _lost_items(before, after, path, lambda name: members)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return _lost_in_list(before, after, path, members)
    if isinstance(before, set | frozenset) and isinstance(after, set | frozenset):
        return _lost_in_set(before, after, path, members)
    return None


def _lost_fields(before: Any, after: Any, path: Path) -> tuple[Path, str] | None:
    names = attributes_of(before)
    if not isinstance(before, type(after)) or not set(names).issubset(attributes_of(after)):
        return path, (
            f"holds the class {type(before).__qualname__}, and subscribers would read it as "
            f"{type(after).__qualname__}: declare the class that is meant"
        )
    if (unread := _unread(before, after)) is not None:
        return (*path, unread), (
            "is another value where it is read: init=False has each reader make it anew, so "
            "declare it without, or leave it as the class makes it"
        )
    kind: Any = type(before)
    members = union_members(kind)
    found = (
        _lost(getattr(before, n), getattr(after, n), (*path, n), members.get(n, _NO_UNION))
        for n in names
    )
    return next(filter(None, found), None)


def _unread(before: Any, after: Any) -> str | None:
    """Return a field of a dataclass that is written and not read, and of which that matters."""
    if not dataclasses.is_dataclass(before):
        return None
    names = (f.name for f in dataclasses.fields(before) if f.compare and not f.init)
    return next((n for n in names if getattr(before, n) != getattr(after, n)), None)


def _lost_items(
    before: Mapping[Any, Any],
    after: Mapping[Any, Any],
    path: Path,
    members_of: Callable[[Any], Members],
) -> tuple[Path, str] | None:
    if len(before) > len(after):
        return path, (
            f"has {len(before)} names, and subscribers would read {len(after)}: some differ in "
            "their type only, or what is declared has no place for them"
        )
    for name, value in before.items():
        if isinstance(name, str) and (problem := text_problem(name)):
            return (*path, name), f"has a name that {problem}"
        if name in after:
            found = _lost(value, after[name], (*path, name), members_of(name))
            if found:
                return found
    return None


def _lost_in_list(before: Any, after: Any, path: Path, members: Members) -> tuple[Path, str] | None:
    if len(before) != len(after):
        return path, (
            f"has {len(before)} items, and subscribers would read {len(after)}: a validator "
            "changes it, so publish what that returns"
        )
    pairs = enumerate(zip(before, after, strict=True))
    found = (_lost(a, b, (*path, i), members) for i, (a, b) in pairs)
    return next(filter(None, found), None)


def _lost_in_set(before: Any, after: Any, path: Path, members: Members) -> tuple[Path, str] | None:
    # Sets have no order to pair their values by, so only the types are counted.
    fewer = Counter(member_of(value, members) for value in before)
    fewer.subtract(member_of(value, members) for value in after)
    for value in before:
        if fewer[member_of(value, members)] > 0:
            other = next(v for v in after if fewer[member_of(v, members)] < 0)
            if kind := misread(value, other, members):
                return path, _misread(kind, other)
    return None


def infinite(before: Any, tree: Any, path: Path = ()) -> tuple[Path, str] | None:
    """Return the first number that is none, of which the JSON of a payload has a null, and say so.

    JSON has no word for it. Where a type is declared that shows when it is read again.
    """
    if getattr(before, "__pydantic_root_model__", False):
        before = before.root
    if tree is None:
        is_number = isinstance(before, float) and not math.isfinite(before)
        problem = f"must be a finite number; it is {described(before, path)}"
        return (path, problem) if is_number else None
    found = (infinite(value, part, (*path, at)) for at, value, part in _paired(before, tree))
    return next(filter(None, found), None)


def _paired(before: Any, tree: Any) -> Iterable[tuple[object, Any, Any]]:
    """Yield the parts of a value, each with its name or place and its JSON."""
    if has_fields(before) and isinstance(tree, dict):
        kind: Any = type(before)
        names = json_names(kind)
        values = {n: getattr(before, n, None) for n in attributes_of(before)}
        values |= getattr(before, "__pydantic_extra__", None) or {}
        return [(n, v, tree.get(names.get(n, n), ...)) for n, v in values.items()]
    if isinstance(before, Mapping) and isinstance(tree, dict):
        return [(n, v, part) for (n, v), part in zip(before.items(), tree.values(), strict=False)]
    if isinstance(before, _ROWS) and isinstance(tree, list):
        return [(at, v, part) for at, (v, part) in enumerate(zip(before, tree, strict=False))]
    return []


def unsteady(first: Any, second: Any, path: Path = ()) -> Path | None:
    """Return where two JSON values differ; the order of lists, which may be sets, apart."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        found = (unsteady(first[name], second[name], (*path, name)) for name in first)
        return next((at for at in found if at is not None), None)
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = enumerate(zip(sorted(first, key=dumps), sorted(second, key=dumps), strict=True))
        found = (unsteady(a, b, (*path, at)) for at, (a, b) in pairs)
        return next((at for at in found if at is not None), None)
    return None if first == second else path


def _misread(kind: type, after: Any) -> str:
    way_out = ", or put str last" if isinstance(after, str) and issubclass(kind, _TEXTS) else ""
    return (
        f"holds a value of type {kind.__qualname__}, and subscribers would read it as "
        f"{type(after).__qualname__}, because its union has both: declare one of the two{way_out}"
    )


def _is_secret(value: object) -> bool:
    from pydantic import SecretBytes, SecretStr

    return isinstance(value, SecretStr | SecretBytes)
