"""The services page, its switches, and the page of copies."""

from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from redis.exceptions import RedisError

from example_project.demo.switches import switches
from example_project.services import BY_NAME

from . import board, copies


@require_GET
@never_cache
def services(request: HttpRequest) -> HttpResponse:
    return render(request, "backstage/services.html", {"board": board.look()})


@require_GET
@never_cache
def services_status(request: HttpRequest) -> JsonResponse:
    return JsonResponse(board.look().as_json())


@require_POST
def switch(request: HttpRequest, name: str, on: bool) -> HttpResponse:
    """Turn a service's worker on or off, where this is the demo."""
    if name not in BY_NAME:
        raise Http404(f"There is no service {name!r}.")
    panel = switches()
    if panel is None:
        messages.error(request, "Workers can be switched from here only in `make demo`.")
    else:
        panel.turn(name, on=on)
    return redirect("backstage:services")


@require_POST
def send_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Deliver every event of an order once more."""
    number = uuid4().hex[:8]
    try:
        count = copies.send(pk, number)
    except RedisError:
        messages.error(request, "Redis can't be reached just now, so no copy was sent.")
        return redirect("orders:order", pk)
    if not count:
        messages.info(request, "No event of this order was delivered yet.")
        return redirect("orders:order", pk)
    return redirect("backstage:copies", pk, number)


@require_GET
@never_cache
def show_copies(request: HttpRequest, pk: UUID, number: str) -> HttpResponse:
    context = {"order_id": pk, "number": number, "copies": _copies(pk, number)}
    return render(request, "backstage/copies.html", context)


@require_GET
@never_cache
def copies_status(request: HttpRequest, pk: UUID, number: str) -> JsonResponse:
    rows = _copies(pk, number)
    finished = bool(rows) and all(row.started is not None for row in rows)
    return JsonResponse({"finished": finished, "copies": [row.as_json() for row in rows]})


def _copies(pk: UUID, number: str) -> list[copies.Copy]:
    try:
        return copies.found(pk, number)
    except RedisError:
        return []
