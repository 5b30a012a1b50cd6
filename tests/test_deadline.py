"""The time limit of one subscriber, inside RQ's for the job."""

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from eda_django import deadline
from eda_django.deadline import GRACE, time_limit
from eda_django.exceptions import SubscriberTimeout


class JobTimeout(Exception):
    """Stands for RQ's."""


def spin(seconds: float) -> None:
    """Keep busy: what is to be interrupted must not be able to end by itself in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def _rq_expires(signum: int, frame: FrameType | None) -> None:
    raise JobTimeout


@pytest.fixture
def rq_limit() -> Iterator[None]:
    """Set an alarm as RQ does around a job."""
    before = signal.signal(signal.SIGALRM, _rq_expires)
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_body_that_takes_too_long_is_interrupted() -> None:
    with (
        pytest.raises(
            SubscriberTimeout, match=r"^Subscriber 'a.b' took longer than its timeout, 0.05 s\.$"
        ),
        time_limit(0.05, "a.b"),
    ):
        spin(10)


def test_body_in_time_is_let_be() -> None:
    with time_limit(30, "a.b"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.usefixtures("rq_limit")
def test_limit_of_rq_is_set_again_less_the_time_that_passed() -> None:
    with time_limit(30, "a.b"):
        assert 29 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30
        spin(0.1)
    assert 59 < signal.getitimer(signal.ITIMER_REAL)[0] <= 59.9
    assert signal.getsignal(signal.SIGALRM) is _rq_expires


@pytest.mark.usefixtures("rq_limit")
def test_limit_of_rq_that_has_passed_meanwhile_leaves_time_to_acknowledge() -> None:
    """It may be of older code, which allowed less; what was done in time by this code's is done."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with time_limit(30, "a.b"):
        spin(0.2)
    # Stopped at once: it must not end what tells of a failure here.
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    assert 4 < left <= GRACE


@pytest.mark.usefixtures("rq_limit")
def test_limit_of_rq_is_enforced_when_that_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "GRACE", 0.05)
    signal.setitimer(signal.ITIMER_REAL, 0.05)

    def overrun() -> None:
        with time_limit(30, "a.b"):
            spin(0.2)
        spin(10)

    with pytest.raises(JobTimeout):
        overrun()


@pytest.mark.usefixtures("rq_limit")
def test_limit_of_rq_that_has_passed_too_is_enforced_at_once_on_whoever_took_too_long() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)

    def stubborn() -> None:
        with time_limit(0.2, "a.b"):
            try:
                spin(10)
            except SubscriberTimeout:
                spin(1)
                pytest.fail("nothing came")

    with pytest.raises(JobTimeout):
        stubborn()


@pytest.mark.usefixtures("rq_limit")
def test_subscriber_that_swallows_the_timeout_is_under_the_limit_of_rq_again() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.3)

    def stubborn() -> None:
        with time_limit(0.05, "a.b"):
            try:
                spin(10)
            except SubscriberTimeout:
                spin(10)

    with pytest.raises(JobTimeout):
        stubborn()


@pytest.mark.usefixtures("rq_limit")
def test_subscriber_that_sets_an_alarm_of_its_own_leaves_none_behind() -> None:
    with time_limit(30, "a.b"):
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 100)
    assert signal.getsignal(signal.SIGALRM) is _rq_expires
    assert 55 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60


@pytest.mark.usefixtures("rq_limit")
def test_no_limit_leaves_the_alarm_alone() -> None:
    with time_limit(None, "a.b"):
        assert signal.getsignal(signal.SIGALRM) is _rq_expires


def test_other_threads_have_no_alarm() -> None:
    """Python allows signal handlers in the main thread only: RQ's limit alone counts there."""
    done: list[bool] = []

    def run() -> None:
        with time_limit(0.01, "a.b"):
            spin(0.05)
        done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert done == [True]
