"""Addresses of the console's pages, on the admin site that somebody is on."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse


def page(request: HttpRequest, name: str, *args: Any) -> str:
    """Return the address of a page of the same admin site: there may be several.

    As Django's {% url %} does it. Else it would be the default site's, which may have no console.
    """
    match = request.resolver_match
    site = getattr(request, "current_app", None) or (match.namespace if match else None)
    return reverse(f"admin:{name}", args=args, current_app=site)
