"""Messages of `manage.py check`, each with its number and the page that explains it."""

from typing import Any

from django.core.checks import Error, Warning

# By its title: who has installed the package has no file to open.
PAGE = "System checks"


def error(number: str, text: str, hint: str, obj: Any = None) -> Error:
    return Error(text, hint=_with_page(hint, number), obj=obj, id=f"eda_django.{number}")


def warning(number: str, text: str, hint: str, obj: Any = None) -> Warning:
    return Warning(text, hint=_with_page(hint, number), obj=obj, id=f"eda_django.{number}")


def _with_page(hint: str, number: str) -> str:
    stop = "" if hint.endswith(".") else "."
    return f'{hint}{stop} See {number} on the page "{PAGE}" of the documentation.'
