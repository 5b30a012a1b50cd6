"""Lists of big tables: newest first, a page at a time, by key."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest

from ..models.selection import MAX_DIGITS
from ..models.windows import page
from .readonly import ReadOnlyAdmin

BEFORE = "before"


def as_number(text: str) -> int | None:
    """Return the number that an address or a form names; None if it is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if is_number else None


class KeysetChangeList(ChangeList):
    """Knows the next page by the number of its last row, and counts nothing."""

    is_cut = False
    older_url = newest_url = ""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        kept = super().get_filters_params(params)
        kept.pop(BEFORE, None)
        return kept

    def get_results(self, request: HttpRequest) -> None:
        before = as_number(request.GET.get(BEFORE, ""))
        # Filters and searches begin at the newest again.
        for params in (self.params, self.filter_params):
            params.pop(BEFORE, None)
        model_admin: Any = self.model_admin
        found = page(
            self.queryset, before=before, size=self.list_per_page, **model_admin.reach(self)
        )
        self.result_list = found.rows
        self.result_count = len(found.rows)
        self.full_result_count = None
        self.show_admin_actions = bool(found.rows)
        self.can_show_all, self.multi_page = False, False
        self.paginator = Paginator(found.rows, self.list_per_page)
        self.is_cut = found.is_cut or found.above is not None
        if found.older is not None:
            self.older_url = self.get_query_string({BEFORE: str(found.older)})
        if before is not None:
            self.newest_url = self.get_query_string()
        elif found.above is not None:
            self.newest_url = self.get_query_string({BEFORE: str(found.above)})

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return ["-pk"]


class KeysetAdmin(ReadOnlyAdmin):
    """A list of which nobody asks how long it is."""

    sortable_by = ()
    list_select_related = False
    change_list_template = "admin/eda_django/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return KeysetChangeList

    def whole_rows(self) -> Any:
        """Return all rows, with all that a page of one of them shows."""
        raise NotImplementedError

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        number = as_number(unquote(object_id))
        return None if number is None else self.whole_rows().filter(pk=number).first()

    def reach(self, changes: Any) -> dict[str, Any]:
        """Return what page() should know of where the listed rows lie."""
        return {}
