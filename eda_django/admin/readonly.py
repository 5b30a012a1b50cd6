"""Admin pages that only show: no adding, no changing, no deleting, and no counting of millions."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from . import links
from .history import translated

# Django's admin classes are generic for type checkers only.
if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyPaginator, AnyModelAdmin = Paginator, admin.ModelAdmin

# Past this many rows a list says "at least"; nobody pages that far, and COUNT(*) reads them all.
COUNTED = 10_000
STYLES: dict[str, Sequence[str]] = {"all": ["eda_django/console.css"]}


class BoundedPaginator(AnyPaginator):
    """A paginator that counts no further than COUNTED rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:COUNTED].count())


class Console(AnyModelAdmin):
    """What all pages of the console share: nothing is written by hand, and one style sheet."""

    # Names of permissions, without the app; one of them is enough to look.
    viewers: tuple[str, ...] = ()

    # Of its own pages; Django's lists bring more.
    scripts: tuple[str, ...] = ()

    class Media:
        css = STYLES

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return any(self.may(request, name) for name in self.viewers)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @staticmethod
    def may(request: HttpRequest, permission: str) -> bool:
        return bool(request.user.has_perm(f"eda_django.{permission}"))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer = super().history_view(request, object_id, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data:
            page = answer.context_data["action_list"]
            page.object_list = list(page.object_list)
            for entry in page.object_list:
                entry.change_message = translated(entry.change_message)
        return answer

    def require(self, request: HttpRequest, *permissions: str) -> None:
        """Raise PermissionDenied unless the user may look here, and has all of these."""
        if not (
            self.has_view_permission(request) and all(self.may(request, p) for p in permissions)
        ):
            raise PermissionDenied

    def show(self, request: HttpRequest, template: str, title: Any, **context: Any) -> HttpResponse:
        """Render a page of the console inside the admin."""
        common = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": forms.Media(css=STYLES, js=self.scripts),
        }
        return TemplateResponse(request, f"admin/eda_django/{template}", {**common, **context})

    def view(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """Return the URL of a page, closed to those who are not staff."""
        return path(route, self.admin_site.admin_view(view), name=f"eda_django_{name}")


class ReadOnlyAdmin(Console):
    """Shows rows to whoever may view them; the library alone changes them."""

    actions: Any = None
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    # Counts of each filter would read the whole table.
    show_facets = ShowFacets.NEVER
    # What may stand in the address beside the filters that are shown.
    also_asked: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        # Django takes any column's lookup. By it masked values could be guessed, letter by letter,
        # and a bulk operation, which knows the filters only, would act on more than is listed.
        filters: Any = self.list_filter
        return lookup in {*map(_parameter_of, filters), *self.also_asked}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        self.require(request)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            text = _("%(name)s %(key)s does not exist. Perhaps it was pruned.")
            messages.warning(
                request, text % {"name": self.opts.verbose_name, "key": object_id[:50]}
            )
            return HttpResponseRedirect(links.page(request, "index"))
        return self.show_row(request, row)

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        raise NotImplementedError


def _parameter_of(shown: Any) -> str:
    """Return what a filter is called in the address; Django names that of a column itself."""
    return f"{shown}__exact" if isinstance(shown, str) else str(shown.parameter_name)


class PageAdmin(Console):
    """One page of the console, in the place of a list."""

    template = ""
    title: Any = ""

    def get_urls(self) -> list[Any]:
        return [self.view("", self.changelist_view, f"{self.opts.model_name}_changelist")]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.require(request)
        return self.show(request, self.template, str(self.title), **self.context(request))

    def context(self, request: HttpRequest) -> dict[str, Any]:
        raise NotImplementedError
