"""What is kept of an exception. Whatever it is, keeping it never fails (G4)."""

from collections.abc import Callable
from types import TracebackType

import pytest

from eda_django.failures import (
    MAX_TEXT,
    MAX_TRACEBACK,
    Failure,
    describe,
    lost_worker,
    plain,
    storable,
)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit


class Untraceable(Exception):
    @property
    def __cause__(self) -> None:  # type: ignore[override]
        raise RuntimeError("no cause")


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def raised(error: BaseException) -> BaseException:
    def throw() -> None:
        raise error

    return caught(throw)


def of(error: BaseException, **options: list[str]) -> Failure:
    return describe(raised(error), **options)


def endless() -> None:
    endless()


def test_failure_has_class_text_and_traceback() -> None:
    failure = of(LookupError("it is not there"))
    assert (failure.kind, failure.text) == ("LookupError", "it is not there")
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert failure.traceback.endswith("LookupError: it is not there\n")


def test_class_of_a_module_is_named_with_it() -> None:
    assert of(Unprintable()).kind == f"{__name__}.Unprintable"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unprintable(), "(str() of the exception raised RuntimeError)"),
        (Leaving(), "(str() of the exception raised SystemExit)"),
        (ValueError("a\x00b"), "a\N{REPLACEMENT CHARACTER}b"),
        (ValueError("a\ud800b"), "a\N{REPLACEMENT CHARACTER}b"),
        (ValueError(), ""),
    ],
)
def test_text_that_no_database_takes_is_made_storable(error: Exception, text: str) -> None:
    """G4: a NUL byte, half a surrogate, a str() that raises: all can be recorded."""
    failure = of(error)
    assert failure.text == text
    assert "\x00" not in failure.traceback


def test_exception_that_can_not_be_formatted_keeps_its_frames() -> None:
    failure = of(Untraceable("x"))
    assert "in raised" in failure.traceback or "in throw" in failure.traceback


def test_endless_recursion_is_kept_shortly() -> None:
    failure = describe(caught(endless))
    assert failure.kind == "RecursionError"
    assert "repeated" in failure.traceback
    assert len(failure.traceback) < MAX_TRACEBACK


def test_huge_text_is_cut_and_says_so() -> None:
    failure = of(ValueError("x" * 1_000_000))
    assert len(failure.text) <= MAX_TEXT
    assert failure.text.endswith("(1000000 chars)")


def test_huge_traceback_keeps_its_end() -> None:
    """The end says what happened, the beginning only where the worker was called."""
    long = "y" * (MAX_TRACEBACK * 2)
    failure = of(ValueError(f"{long} the point of it"))
    assert len(failure.traceback) <= MAX_TRACEBACK
    assert failure.traceback.endswith("the point of it\n")


def test_secrets_are_masked_in_text_and_traceback() -> None:
    """G9: values of redacted fields don't get into what is kept, or into the log."""
    failure = of(ValueError("card 4111-1111 of Ann was declined"), secrets=["4111-1111", "Ann"])
    assert failure.text == "card *** of *** was declined"
    assert "4111" not in failure.traceback
    assert failure.exc_info is None


def test_exception_that_quotes_a_secret_by_repr_or_cuts_it_stays_out_of_the_log() -> None:
    """G9: as most exceptions do."""
    for text in (repr("DOM\\alice"), '"DOM\\\\ali..."'):
        failure = of(KeyError(text), secrets=["DOM\\alice"])
        assert "ali" not in failure.text + failure.traceback.replace("alive", "")
        assert failure.exc_info is None


def test_longer_secret_is_masked_before_the_shorter_in_it() -> None:
    assert of(ValueError("abcdef"), secrets=["abc", "abcdef"]).text == "***"


def test_shortest_secrets_are_let_be() -> None:
    """Masking "1" would make every number unreadable."""
    assert of(ValueError("in 2021"), secrets=["1", "20"]).text == "in 2021"


def test_exception_goes_to_the_log_if_nothing_in_it_is_masked() -> None:
    error = raised(ValueError("plain"))
    assert describe(error, secrets=["other"]).exc_info is error


def test_same_cause_has_the_same_fingerprint() -> None:
    """By class and the site's own frame, not by text or line."""

    def lookup(name: str) -> None:
        if name == "a":
            raise LookupError("a is missing")
        raise LookupError("b is missing")

    one, other = caught(lambda: lookup("a")), caught(lambda: lookup("b"))
    assert describe(one).fingerprint == describe(other).fingerprint


def test_other_class_or_other_function_has_another_fingerprint() -> None:
    def first() -> None:
        raise LookupError

    def second() -> None:
        raise LookupError

    def third() -> None:
        raise ValueError

    found = {describe(caught(f)).fingerprint for f in (first, second, third)}
    assert len(found) == 3


def test_fingerprint_of_a_library_error_is_the_callers() -> None:
    def one() -> None:
        int("x")

    def other() -> None:
        import json

        json.loads("{")

    def another() -> None:
        import json

        json.loads("{")

    prints = [describe(caught(f)).fingerprint for f in (one, other, another)]
    assert len(set(prints)) == 3


def test_exception_without_frames_has_a_fingerprint() -> None:
    assert len(describe(ValueError("never raised")).fingerprint) == 32


def test_lost_worker_is_described() -> None:
    failure = lost_worker()
    assert failure.kind == "eda_django.WorkerLost"
    assert failure.text.startswith("The worker vanished while the subscriber ran")
    assert failure.fingerprint == lost_worker().fingerprint


def test_storable_text_is_never_longer_than_asked_for() -> None:
    assert len(storable("x" * 300, 255)) <= 255
    assert storable("short", 255) == "short"


def test_plain_text_is_ascii_and_still_readable() -> None:
    assert plain("Größe …") == "Gr\\xf6\\xdfe \\u2026"


def test_text_that_is_cut_twice_says_how_long_it_was() -> None:
    once = storable("x" * 10_000_000, 10_000)
    assert storable(once, 2_000).endswith("… (10000000 chars)")


class Hiding(Exception):
    @property
    def __traceback__(self) -> TracebackType | None:  # type: ignore[override]
        raise RuntimeError("no traceback")


class Lying(str):
    """A text that can do nothing that a text can."""

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Wordy(Exception):
    def __str__(self) -> str:
        return Lying("what was wrong")


@pytest.mark.parametrize("error", [Hiding("what was wrong"), Wordy()])
def test_exception_that_lies_about_itself_is_described(error: Exception) -> None:
    """G4: recording a failure can never fail."""
    failure = of(error)
    assert (failure.text, type(failure.text)) == ("what was wrong", str)
    assert "test_failures.py" in failure.traceback
    assert len(failure.fingerprint) == 32


def test_exception_that_would_fill_the_log_stays_out_of_it() -> None:
    failure = of(ValueError("x" * 10_000_000))
    assert failure.exc_info is None
