"""What a payload would lose on its way through JSON without any error."""

from collections.abc import Mapping
from typing import Any

from .adapters import fields_of, has_fields
from .trees import text_problem

Path = tuple[object, ...]


def lost(before: Any, after: Any, path: Path = ()) -> tuple[Path, str] | None:
    """Return the first part that subscribers would read differently, and why.

    Plain values may change their type (a Decimal in a dict[str, Any] becomes a text): that is
    what a field asks for that declares no type.
    """
    if _is_secret(before) and before != after:
        return path, "is a secret that pydantic writes as asterisks: declare a str, and REDACT it"
    if has_fields(before) and has_fields(after):
        return _lost_fields(before, after, path)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _lost_items(before, after, path)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        if len(before) != len(after):
            return path, (
                f"has {len(before)} items, and subscribers would read {len(after)}: a validator "
                "changes it, so publish what that returns"
            )
        found = (lost(a, b, (*path, i)) for i, (a, b) in enumerate(zip(before, after, strict=True)))
        return next(filter(None, found), None)
    return None


def _lost_fields(before: Any, after: Any, path: Path) -> tuple[Path, str] | None:
    names = [field.name for field in fields_of(before)]
    kept = {field.name for field in fields_of(after)}
    if not isinstance(before, type(after)) or not kept.issuperset(names):
        return path, (
            f"holds the class {type(before).__qualname__}, and subscribers would read it as "
            f"{type(after).__qualname__}: declare the class that is meant"
        )
    found = (lost(getattr(before, n), getattr(after, n), (*path, n)) for n in names)
    return next(filter(None, found), None)


def _lost_items(
    before: Mapping[Any, Any], after: Mapping[Any, Any], path: Path
) -> tuple[Path, str] | None:
    for name, value in before.items():
        if isinstance(name, str) and (problem := text_problem(name)):
            return (*path, name), f"has a name that {problem}"
        if name in after and (found := lost(value, after[name], (*path, name))):
            return found
    return None


def _is_secret(value: object) -> bool:
    from pydantic import SecretBytes, SecretStr

    return isinstance(value, SecretStr | SecretBytes)
