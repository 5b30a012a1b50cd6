"""What partial indexes are about stands in a statement's conditions themselves.

A server that keeps statements may plan one for whatever parameters come. Of a parameter it does
not know that it will be the value that a partial index is about, and would read the whole table.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db import models
from django.db.models import lookups

from .status import OperationStatus, Status

# What is written instead of a parameter. Never what somebody gives, which may only seem equal.
LITERALS: Mapping[Any, str] = MappingProxyType(
    {"": "''", 0: "0"}
    | {state: f"'{state}'" for state in (*Status.values, *OperationStatus.values)}
)
# Django has several for integers, which know what a column can hold.
_Above: Any = models.IntegerField.get_lookups()["gt"]  # type: ignore[call-arg]


class _Spelled:
    def process_rhs(self: Any, compiler: Any, connection: Any) -> Any:
        sql, params = super().process_rhs(compiler, connection)  # type: ignore[misc]
        is_known = params and self.rhs_is_direct_value() and LITERALS.keys() >= set(params)
        return (sql % tuple(LITERALS[value] for value in params), ()) if is_known else (sql, params)


# By names of their own in this module: querysets that have them can be pickled.
class SpelledExact(_Spelled, lookups.Exact):
    """field=…"""


class SpelledIn(_Spelled, lookups.In):
    """field__in=…"""


class SpelledAbove(_Spelled, _Above):  # type: ignore[misc]
    """field__gt=…"""


def spell(model: type[models.Model], name: str, *kinds: type[Any]) -> None:
    """Have conditions of these kinds on one field of one model write out what is in LITERALS."""
    for kind in kinds:
        model._meta.get_field(name).register_lookup(kind)  # type: ignore[union-attr]
