"""Payloads that are edited while parts are masked: masks with an address, and the way back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .redaction import MASK, is_redacted, masked_with, open_texts

Path = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A mask that can't become a value: of no address, or where the value would be in the open."""

    field: str
    is_open: bool


class StrayMasks(ValueError):
    """Some masks of an edited payload can't be put back for certain."""

    def __init__(self, strays: list[Stray]) -> None:
        super().__init__(", ".join(stray.field for stray in strays))
        self.strays = strays


def addressed(tree: Any) -> Any:
    """Return JSON values with those of the fields named in REDACT as masks with an address.

    That is where the value stands in this tree, as a JSON pointer (RFC 6901): `***/items/0/card`.
    Whoever moves a field, or takes out the one before it, takes the address along.
    """
    return masked_with(tree, lambda path, _value: _address(path))


def unmasked(tree: Any, original: Any) -> Any:
    """Return JSON values in which each mask is the value again that it addresses in the original.

    Raises StrayMasks for a mask without a whole address, for an address of nothing that is masked
    today, and for a mask outside the fields that REDACT names: whoever may only see masks would
    read the value there.
    """
    back = _Back(original)
    found = back.put(tree, (), hidden=False)
    if back.strays:
        raise StrayMasks(back.strays)
    return found


class _Back:
    """Puts values in the place of their masks, and notes what it can't."""

    def __init__(self, original: Any) -> None:
        self.strays: list[Stray] = []
        self.values: dict[str, Any] = {}
        masked_with(original, self._keep)
        # What only looks like a mask, and stood in the open before.
        self.texts = {text for text in open_texts(original) if text not in self.values}

    def put(self, tree: Any, path: Path, *, hidden: bool) -> Any:
        if isinstance(tree, Mapping):
            return {
                name: self.put(value, (*path, name), hidden=hidden or is_redacted(name))
                for name, value in tree.items()
            }
        if isinstance(tree, list):
            return [self.put(one, (*path, at), hidden=hidden) for at, one in enumerate(tree)]
        if not isinstance(tree, str):
            return tree
        return self._hidden(tree, path) if hidden else self._open(tree, path)

    def _hidden(self, text: str, path: Path) -> Any:
        if text in self.values:
            return self.values[text]
        if MASK in text:
            self.strays.append(Stray(field=_dotted(path), is_open=False))
        return text

    def _open(self, text: str, path: Path) -> str:
        if (text == MASK or f"{MASK}/" in text) and text not in self.texts:
            self.strays.append(Stray(field=_dotted(path), is_open=True))
        return text

    def _keep(self, path: Path, value: Any) -> None:
        self.values[_address(path)] = value


def _dotted(path: Path) -> str:
    # In full: whoever reads this wrote what stands below a private name.
    return ".".join(map(str, path))


def _address(path: Path) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "/".join((MASK, *parts))
