"""What is told, and what is logged: ids and names, never payloads (G9)."""

import logging
from typing import Any

import pytest

from eda_django import signals
from eda_django.failures import Failure, describe
from eda_django.models import Delivery

ROW = Delivery(pk=3, event_id=5, subscriber="a.b", attempts=2)


def failure(secret: str = "") -> Failure:
    return describe(ValueError("text of the error"), secrets=[secret] if secret else [])


@pytest.mark.parametrize(
    ("signal", "told", "level", "text"),
    [
        (
            signals.delivery_succeeded,
            {},
            "DEBUG",
            "delivery succeeded delivery=3 event=5 subscriber=a.b attempt=2",
        ),
        (
            signals.delivery_failed,
            {"error": failure()},
            "WARNING",
            "delivery failed, will be retried delivery=3 event=5 subscriber=a.b attempt=2 "
            "error=ValueError",
        ),
        (
            signals.delivery_dead,
            {"error": failure()},
            "ERROR",
            "delivery is dead delivery=3 event=5 subscriber=a.b attempts=2 error=ValueError",
        ),
        (
            signals.delivery_discarded,
            {"reason": "sold out"},
            "INFO",
            "delivery discarded delivery=3 subscriber=a.b reason=sold out",
        ),
        (
            signals.delivery_deferred,
            {"reason": "the bank is closed"},
            "INFO",
            "delivery waits delivery=3 subscriber=a.b reason=the bank is closed",
        ),
    ],
)
def test_outcome_is_logged_once(
    signal: Any, told: dict[str, Any], level: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    signals.connect_logging()
    with caplog.at_level(logging.DEBUG, "eda_django"):
        signal.send_robust(sender=Delivery, delivery=ROW, **told)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [(level, text)]


@pytest.mark.parametrize("signal", [signals.delivery_failed, signals.delivery_dead])
def test_exception_is_logged_unless_something_in_it_is_masked(
    signal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G9: Sentry and others see the exception itself, so not one that holds a redacted value."""
    signal.send_robust(sender=Delivery, delivery=ROW, error=failure())
    signal.send_robust(sender=Delivery, delivery=ROW, error=failure("text"))
    assert [bool(record.exc_info) for record in caplog.records] == [True, False]
