"""What the checks find, and subscribers for them to find."""

from typing import Any

from django.core import checks as django_checks
from django.core.checks import CheckMessage

from eda_django import Event


def found(**options: Any) -> list[CheckMessage]:
    """Run all checks as `manage.py check` does; return the library's."""
    messages = django_checks.run_checks(**options)
    return [m for m in messages if str(m.id).startswith("eda_django.")]


class NoOutbox:
    """Keeps the library's tables off the second database."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return not (db == "other" and app_label == "eda_django")


def on_event(event: Event[Any]) -> None:
    """Subscribe to whatever a test needs."""


ON_EVENT = "tests.checks.checking.on_event"


def assert_one(number: str, level: int, text: str, hint: str, *, obj: Any, **options: Any) -> None:
    [message] = found(**options)
    assert message.id == f"eda_django.{number}"
    assert message.level == level
    assert message.msg == text
    assert message.hint == f'{hint} See {number} on the page "System checks" of the documentation.'
    assert message.obj == obj


ERROR, WARNING = django_checks.ERROR, django_checks.WARNING
