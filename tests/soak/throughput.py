"""When throughput is what it was before."""

from collections.abc import Sequence

# Nothing stands still any more when every window of so many seconds has this share of it, but for
# one event: that may fall on either side of the window's border.
WINDOW, SHARE = 2.0, 0.95
# Deliveries of one event. Under a light load they are much of a window, so there is another one,
# of which they are little and which has to have the whole share. It alone would not do: what has
# stood still comes as a burst, and fills it.
BORDER = 2
LONG_WINDOW = 20.0


def time_back(samples: Sequence[tuple[float, int]], rate: float) -> float | None:
    """Return the seconds at whose end a window has this rate, and every later one too.

    `samples` are times, and how many deliveries were done by then. None if the last window lacks.
    """
    began = samples[0][0]
    back: float | None = None
    first = 0
    for now, count in samples:
        if now - began < WINDOW:
            continue
        while samples[first + 1][0] <= now - WINDOW:
            first += 1
        at, before = samples[first]
        is_enough = count - before + BORDER >= rate * SHARE * (now - at)
        if not is_enough:
            back = None
        elif back is None:
            back = now - began
    return back


def share_from(back: float, samples: Sequence[tuple[float, int]], rate: float) -> float | None:
    """Return which share of this rate there is in the long window that begins `back` seconds in.

    None as long as that is not over.
    """
    began = samples[0][0] + back
    at, before = next(sample for sample in samples if sample[0] >= began)
    for now, count in samples:
        if now >= at + LONG_WINDOW:
            return (count - before) / (rate * (now - at))
    return None
