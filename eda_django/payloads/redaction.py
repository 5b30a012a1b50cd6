"""What nobody is to see: the values of the fields that REDACT names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from .. import conf
from .spellings import spans

MASK = "***"
MAX_SHOWN = 100
_PLAIN = (str, int, float, complex, bytes, Decimal, date, time, timedelta, UUID, Enum, type(None))
# A name that a program gives, and no value: to mask "number" would blacken every traceback.
_FIELD = re.compile("[A-Za-z_]{1,30}[0-9]{0,2}")
# What stands for a value of which the path is known.
Mask = Callable[[tuple[object, ...], Any], Any]


def is_redacted(name: object) -> bool:
    return name in conf.get("REDACT")


def masked(tree: Any) -> Any:
    """Return JSON values with those of the fields named in REDACT masked."""
    return masked_with(tree, lambda _path, _value: MASK)


def masked_with(tree: Any, mask: Mask, path: tuple[object, ...] = ()) -> Any:
    """Return JSON values with those of the fields named in REDACT as `mask(path, value)` is."""
    if isinstance(tree, Mapping):
        return {
            name: mask((*path, name), value)
            if is_redacted(name)
            else masked_with(value, mask, (*path, name))
            for name, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [masked_with(value, mask, (*path, at)) for at, value in enumerate(tree)]
    return tree


def redacted_values(tree: Any) -> Iterator[str]:
    """Yield the texts in a payload that must not appear anywhere else."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _texts(value) if is_redacted(name) else redacted_values(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from redacted_values(value)


def open_texts(tree: Any) -> Iterator[str]:
    """Yield the texts in a payload that REDACT lets show."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if not is_redacted(name):
                yield from open_texts(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from open_texts(value)
    elif isinstance(tree, str):
        yield tree


def without(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret masked, however it is spelled there."""
    kept, last = [], 0
    for begin, end in spans(text, frozenset(secrets)):
        kept.append(text[last:begin])
        last = end
    return MASK.join((*kept, text[last:]))


def described(value: object, path: tuple[object, ...] = ()) -> str:
    """Return a value and its type as an error text may show them: short, and masked if private."""
    kind = type(value).__qualname__
    if any(is_redacted(part) for part in path):
        return f"{MASK} ({kind})"
    # Of anything with parts only the type: a part may be private, and the path leads to it.
    if not isinstance(value, _PLAIN):
        return _with_article(kind)
    try:
        text = repr(value).encode("utf-8", "backslashreplace").decode()
    except Exception as error:
        return f"{_with_article(kind)} whose repr() raises {type(error).__qualname__}"
    return f"{text if len(text) <= MAX_SHOWN else f'{text[: MAX_SHOWN - 3]}...'} ({kind})"


def dotted(path: tuple[object, ...]) -> str:
    """Return where a part is, as far as that may be shown: names below a private one may not."""
    private = (at for at, part in enumerate(path, start=1) if is_redacted(part))
    return ".".join(map(str, path[: next(private, len(path))]))


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not _FIELD.fullmatch(str(name)):
                yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)
