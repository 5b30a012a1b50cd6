"""Fields whose well-known values stand in a statement's conditions themselves.

A server that keeps statements may plan one for whatever parameters come. Of a parameter it does
not know that it will be the value that a partial index is about, and would read the whole table.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _Text = models.CharField[str, str]
    _Count = models.PositiveIntegerField[int, int]
else:
    # Generic for the type checker only.
    _Text, _Count = models.CharField, models.PositiveIntegerField


class StateField(_Text):
    """One of a few states: each of its choices is spelled out."""

    @cached_property
    def spelled(self) -> Collection[str]:
        return frozenset(state for state, _ in self.flatchoices)

    def deconstruct(self) -> Any:
        return _plainly(super().deconstruct(), models.CharField)


class KeyField(_Text):
    """A text that most rows don't have: that it is empty is spelled out."""

    spelled: ClassVar[Collection[str]] = frozenset({""})

    def deconstruct(self) -> Any:
        return _plainly(super().deconstruct(), models.CharField)


class CountField(_Count):
    """A count: that it is above zero is spelled out."""

    spelled: ClassVar[Collection[int]] = frozenset({0})

    def deconstruct(self) -> Any:
        return _plainly(super().deconstruct(), models.PositiveIntegerField)


def _plainly(parts: Any, kind: type[Any]) -> Any:
    """Have migrations see the plain field, which the column is that of."""
    name, _, args, options = parts
    return name, f"django.db.models.{kind.__name__}", args, options


class _Spelled:
    """A lookup that writes out the values that its field spells."""

    def process_rhs(self: Any, compiler: Any, connection: Any) -> Any:
        sql, params = super().process_rhs(compiler, connection)  # type: ignore[misc]
        field = self.lhs.output_field
        if not self.rhs_is_direct_value() or not field.spelled.issuperset(params):
            return sql, params
        return sql % tuple(map(_literal, params)), ()


def _literal(value: str | int) -> str:
    # None of them has a quote or a percent sign.
    return f"'{value}'" if isinstance(value, str) else str(value)


def _spell(field: type[Any], *names: str) -> None:
    for name in names:
        known = field.get_lookups()[name]
        field.register_lookup(type(f"Spelled{known.__name__}", (_Spelled, known), {}), name)


_spell(StateField, "exact", "in")
_spell(KeyField, "exact")
_spell(CountField, "gt")
