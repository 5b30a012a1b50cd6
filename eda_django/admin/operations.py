"""Bulk operations: the list, and a page for each that shows how far it is and can stop it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import BulkOperation, RelayHeartbeat
from ..models.heartbeat import GONE
from ..models.locking import writing
from ..models.status import OperationStatus
from . import links
from .acting import outcome, permissions_for
from .bulk import meant_by
from .display import counted
from .history import CANCELLED, log, told
from .readonly import ReadOnlyAdmin


@admin.register(BulkOperation)
class OperationAdmin(ReadOnlyAdmin):
    scripts = ("eda_django/console.js",)
    viewers = ("view_delivery",)
    list_display = (
        "id",
        "verb",
        "meant",
        "operator",
        "status",
        "progress",
        "changed",
        "created_at",
    )
    list_filter = ("status",)
    ordering = ("-id",)

    def get_urls(self) -> list[Any]:
        cancel = self.view("<int:pk>/cancel/", self.cancel_view, "bulkoperation_cancel")
        return [cancel, *super().get_urls()]

    @admin.display(description=gettext_lazy("filter"))
    def meant(self, operation: BulkOperation) -> str:
        return meant_by(operation)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, operation: BulkOperation) -> str:
        return f"{operation.percent} %"

    def show_row(self, request: HttpRequest, row: Any) -> HttpResponse:
        is_running = row.status == OperationStatus.RUNNING
        left = row.left()
        may_cancel = all(self.may(request, one) for one in permissions_for(row.verb))
        return self.show(
            request,
            "operation.html",
            # Not its state, which changes: the live part of the page says that.
            f"{row.get_verb_display()} #{row.pk}",
            operation=row,
            original=row,
            selected=meant_by(row),
            outcome=outcome(row.verb, row.changed, row.passed_over),
            left=counted(left.counts, left.partial) if left else "",
            is_running=is_running,
            may_cancel=is_running and may_cancel,
            lacks_code=is_running and not row.is_readable,
            lacks_relay=is_running and not RelayHeartbeat.objects.alive(GONE).exists(),
        )

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop an operation; whoever may begin one may stop it."""
        self.require(request)
        operation = BulkOperation.objects.filter(pk=pk).first()
        if request.method != "POST" or operation is None:
            raise PermissionDenied
        self.require(request, *permissions_for(operation.verb))
        using = router.db_for_write(BulkOperation)
        # Before, not in the transaction: a relay waits for that.
        left = operation.left()
        with writing(using):
            is_cancelled = BulkOperation.objects.using(using).cancel(pk)
            if is_cancelled:
                operation.refresh_from_db(using=using)
                log(request, [operation], told(CANCELLED, operation, left))
        if is_cancelled:
            messages.success(request, _("Cancelled. What was done stays done."))
        else:
            messages.warning(request, _("It had ended already."))
        return HttpResponseRedirect(links.page(request, "eda_django_bulkoperation_change", pk))
