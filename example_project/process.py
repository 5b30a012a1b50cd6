"""Every page says which process has answered, so that one's own server can be told from others."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "X-Process"


def named(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Send the process's id with every page; a middleware."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response[HEADER] = str(os.getpid())
        return response

    return respond
