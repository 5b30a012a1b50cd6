"""The waits between attempts."""

import math
from typing import Any

import pytest

from eda_django import Retry


def waits(retry: Retry, *, draw: float = 0.0) -> list[float]:
    return [retry.delay(n, draw=lambda: draw) for n in range(1, retry.max_attempts)]


def test_the_wait_grows_by_the_factor_up_to_the_cap():
    retry = Retry(max_attempts=7, base=2, factor=3, cap=100, jitter=0)
    assert waits(retry) == [2, 6, 18, 54, 100, 100]


def test_jitter_only_ever_adds():
    retry = Retry(base=10, factor=1, jitter=0.5)
    assert [retry.delay(1, draw=iter([d]).__next__) for d in (0.0, 0.5, 1.0)] == [10, 12.5, 15]
    assert all(10 <= retry.delay(1) <= 15 for _ in range(100))


def test_the_default_budget_outlasts_an_outage_of_a_working_day():
    hours = sum(waits(Retry())) / 3600
    assert 9 < hours < 10


def test_attempts_far_beyond_any_number_wait_for_the_cap():
    retry = Retry(max_attempts=10**6, base=1e-9, factor=1e9, cap=60)
    assert retry.delay(10**5, draw=lambda: 0.0) == 60
    assert Retry(base=2, factor=2, cap=60).delay(10**6, draw=lambda: 0.0) == 60


@pytest.mark.parametrize("attempts", [1, 2, 10**6])
def test_a_base_of_zero_never_waits(attempts: int):
    assert Retry(base=0, factor=10).delay(attempts) == 0


def test_no_attempt_counts_as_the_first():
    assert Retry(base=3, factor=2, jitter=0).delay(0) == 3


def test_a_delivery_is_out_of_attempts_at_the_maximum():
    retry = Retry(max_attempts=3)
    assert [retry.is_exhausted(n) for n in (0, 2, 3, 4)] == [False, False, True, True]


LIMITS = {
    "max_attempts": "1 to 2,147,483,647",
    "base": "0 to 1,000,000,000",
    "factor": "1 to 1,000,000,000",
    "cap": "0 to 1,000,000,000",
    "jitter": "0 to 1",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in LIMITS for value in (-1, 10**400)],
        *[
            (name, value)
            for name in LIMITS
            if name != "max_attempts"
            for value in ("2", None, True)
        ],
        *[("cap", value) for value in (math.inf, math.nan)],
        ("max_attempts", 0),
        ("factor", 0.5),
        ("jitter", 1.1),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, value: Any):
    with pytest.raises(ValueError, match=r"^Retry\(") as caught:
        Retry(**{name: value})
    assert str(caught.value) == f"Retry({name}={value!r}) must be a number from {LIMITS[name]}."


@pytest.mark.parametrize("value", [2.0, "3", True, None])
def test_attempts_are_whole_numbers(value: Any):
    with pytest.raises(ValueError, match="whole number") as caught:
        Retry(max_attempts=value)
    assert str(caught.value) == f"Retry(max_attempts={value!r}) must be a whole number."
