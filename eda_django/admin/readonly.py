"""Admin pages that only show: no adding, no changing, no deleting, and no counting of millions."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest

# Django's admin classes are generic for type checkers only.
if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyPaginator, AnyModelAdmin = Paginator, admin.ModelAdmin

# Past this many rows a list says "at least"; nobody pages that far, and COUNT(*) reads them all.
COUNTED = 10_000


class BoundedPaginator(AnyPaginator):
    """A paginator that counts no further than COUNTED rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:COUNTED].count())


class ReadOnlyAdmin(AnyModelAdmin):
    """Shows rows to whoever may view them; the library alone changes them."""

    actions = None
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
