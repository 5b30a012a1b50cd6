"""A chart of two series as SVG, made here: no script, and colours from the style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 720, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Two lines, as points of an SVG, and the numbers beside them. `top` is the highest value."""

    title: Any
    first: str
    second: str
    top: int
    sums: tuple[int, int]
    begins: str
    width: int = WIDTH
    height: int = HEIGHT


def chart(
    title: Any, first: Sequence[int], second: Sequence[int], *, begins: str, hidden: int = 0
) -> Chart:
    """Return a chart of two series of equal length, the oldest value first.

    It has room for so many `hidden` values before them.
    """
    top = max([*first, *second, 1])
    return Chart(
        title=title,
        first=_points(first, top, hidden),
        second=_points(second, top, hidden),
        top=top,
        sums=(sum(first), sum(second)),
        begins=begins,
    )


def _points(values: Sequence[int], top: int, hidden: int) -> str:
    step = WIDTH / max(hidden + len(values) - 1, 1)
    return " ".join(
        f"{n * step:.1f},{HEIGHT - (HEIGHT - 4) * value / top - 2:.1f}"
        for n, value in enumerate(values, start=hidden)
    )
