"""When the measurement of recovery says that throughput is back."""

import pytest

from tests.soak.throughput import LONG_WINDOW, SHARE, WINDOW, share_from, time_back

# Deliveries a second, two at a time.
RATE = 10.0
# One event more or less, in the seconds in which the rate before is measured.
RATES = (RATE - 2 / 8, RATE, RATE + 2 / 8)


def samples(*, stalls: tuple[float, float] = (0.0, 0.0), burst: int = 0) -> list[tuple[float, int]]:
    """Return ten seconds of a steady rate; between two times nothing is done, and then all."""
    found = []
    for tick in range(201):
        now = tick / 20
        reckoned = stalls[0] if stalls[0] <= now < stalls[1] else now
        found.append((now, burst * (now > 0) + 2 * int(reckoned * RATE / 2)))
    return found


def test_steady_throughput_is_back_after_the_first_window() -> None:
    assert time_back(samples(), RATE) == WINDOW


@pytest.mark.parametrize("burst", [0, 100])
def test_stall_after_the_first_window_is_seen(burst: int) -> None:
    """Also after a burst that fills the first one."""
    found = time_back(samples(stalls=(3.0, 5.0), burst=burst), RATE)
    assert found is not None
    assert 4.5 < found <= 5.5


def test_throughput_that_ends_low_is_not_back() -> None:
    assert time_back(samples(stalls=(8.0, 11.0)), RATE) is None


def test_less_than_there_was_is_not_back() -> None:
    assert time_back([(now, int(count * 0.7)) for now, count in samples()], RATE) is None


# The share of it that there is


def steady(share: float, *, phase: float = 0.0) -> list[tuple[float, int]]:
    """Return half a minute of this share of the rate; `phase`: of the first event, 0 to 1."""
    times = [tick / 20 for tick in range(601)]
    return [(now, 2 * int(now * share * RATE / 2 + phase)) for now in times]


PHASES = [phase / 10 for phase in range(10)]


@pytest.mark.parametrize("phase", PHASES)
def test_less_than_the_share_is_found_in_the_long_window(phase: float) -> None:
    """By an event less than it may be. Short windows can't tell so little from their border."""
    low = steady(SHARE - 0.02, phase=phase)
    back = time_back(low, RATE)
    assert back is not None
    share = share_from(back, low, RATE)
    assert share is not None
    assert SHARE - 0.03 <= share < SHARE


@pytest.mark.parametrize("phase", PHASES)
def test_more_than_the_share_is_enough(phase: float) -> None:
    high = steady(SHARE + 0.02, phase=phase)
    back = time_back(high, RATE)
    assert back is not None
    share = share_from(back, high, RATE)
    assert share is not None
    assert SHARE <= share <= SHARE + 0.03


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("phase", PHASES)
def test_all_that_there_was_is_enough_however_it_was_measured(phase: float, rate: float) -> None:
    share = share_from(WINDOW, steady(1.0, phase=phase), rate)
    assert share is not None
    assert share >= SHARE


def test_what_came_before_it_was_back_does_not_count() -> None:
    burst = [(now, count + 500 * (now > 0)) for now, count in steady(0.8)]
    share = share_from(WINDOW, burst, RATE)
    assert share == pytest.approx(0.8, abs=0.01)


def test_share_is_known_when_the_long_window_is_over() -> None:
    found = [sample for sample in steady(1.0) if sample[0] < WINDOW + LONG_WINDOW]
    assert share_from(WINDOW, found, RATE) is None
    assert share_from(WINDOW, steady(1.0), RATE) is not None
