"""When the measurement of recovery says that throughput is back."""

import pytest

from tests.soak.throughput import WINDOW, time_back

# Deliveries a second, two at a time.
RATE = 10.0


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
