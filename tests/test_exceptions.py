"""What the library raises on purpose."""

import math
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from eda_django import EdaError, RetryLater, exceptions
from eda_django.exceptions import first_line


def test_every_error_has_one_base():
    errors = [e for e in vars(exceptions).values() if isinstance(e, type)]
    ours = [e for e in errors if e.__module__ == exceptions.__name__]
    assert len(ours) > 10
    assert all(issubclass(e, EdaError) and e.__doc__ for e in ours)


@pytest.mark.parametrize(
    "error",
    [exceptions.InvalidEventType, exceptions.InvalidPublisher, exceptions.InvalidSubscriber],
)
def test_wrong_use_at_import_is_a_configuration_error(error: type[Exception]):
    assert issubclass(error, ImproperlyConfigured)


def test_retry_later_keeps_its_seconds_and_says_them():
    error = RetryLater(90)
    assert error.seconds == 90.0
    assert str(error) == "retry in 90 s"
    assert str(RetryLater(0, "the bank is closed")) == "the bank is closed"


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, 10**9 + 1, 10**400, "5", None, True])
def test_retry_later_refuses_what_no_database_can_reckon(seconds: Any):
    """G4: recording a failure can never fail."""
    with pytest.raises(ValueError, match="RetryLater") as caught:
        RetryLater(seconds)
    assert str(caught.value) == (
        f"RetryLater({seconds!r}) must be a number of seconds from 0 to 1,000,000,000."
    )


@pytest.mark.parametrize(
    ("error", "limit", "line"),
    [
        (ValueError("one\ntwo"), None, "one"),
        (ValueError("\n  one \ntwo"), None, "one "),
        (ValueError(""), None, "ValueError"),
        (ValueError(" \n"), None, "ValueError"),
        (ValueError("word " * 100), 9, "word word"),
    ],
)
def test_first_line_of_an_error_is_never_empty(
    error: Exception, limit: int | None, line: str
) -> None:
    assert first_line(error, limit=limit) == line
