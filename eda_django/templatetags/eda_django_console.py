"""The overview, for the template of the app's index: Django offers no other way into that page."""

from typing import Any

from django import template

from ..admin.display import breakable
from ..admin.overview import overview

register = template.Library()
register.filter("breakable", breakable)


@register.inclusion_tag("admin/eda_django/includes/overview.html", takes_context=True)
def eda_overview(context: Any) -> dict[str, Any]:
    """Render the overview. The template asks first whether the user may see it."""
    return {**overview(context["request"]), "request": context["request"]}
