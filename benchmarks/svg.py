"""Line graphs as SVG, drawn by hand: a graph needs no library."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 48, 52
COLOURS = ("#1f6feb", "#d1570b", "#2da44e", "#8250df")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    points: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Lines over a common axis; both axes begin at zero."""

    title: str
    across: str
    up: str
    lines: Sequence[Line]

    def svg(self) -> str:
        across = ticks(max(x for line in self.lines for x, _ in line.points))
        up = ticks(max(y for line in self.lines for _, y in line.points))
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}" font-family="sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            _text(LEFT, 24, self.title, size=15),
            _text(LEFT, TOP - 8, self.up),
            _text(LEFT, HEIGHT - 12, self.across),
        ]
        parts += [_rule(y, up[-1]) for y in up]
        parts += [
            _text(_x(x, across[-1]), HEIGHT - BOTTOM + 18, f"{x:,.10g}", anchor="middle")
            for x in across
        ]
        for colour, line, y in zip(COLOURS, self.lines, self._labels(up[-1]), strict=False):
            parts += [_polyline(line.points, across[-1], up[-1], colour)]
            parts += [_text(WIDTH - RIGHT + 10, y + 4, line.name, colour=colour)]
        return "\n".join([*parts, "</svg>", ""])

    def _labels(self, top: float) -> list[float]:
        """Return the height of each line's name: beside its end, and no two on each other."""
        ends = [_y(line.points[-1][1], top) for line in self.lines]
        places = sorted(range(len(ends)), key=ends.__getitem__)
        for above, below in pairwise(places):
            ends[below] = max(ends[below], ends[above] + 16)
        return ends


def ticks(greatest: float) -> list[float]:
    """Return round numbers from zero to the first that is not less than the greatest."""
    step = next(
        step
        for exponent in range(-6, 12)
        for step in (10.0**exponent, 2 * 10.0**exponent, 5 * 10.0**exponent)
        if step * 5 >= greatest
    )
    count = next(n for n in range(1, 6) if n * step >= greatest)
    return [round(n * step, 9) for n in range(count + 1)]


def _x(value: float, greatest: float) -> float:
    return round(LEFT + value / greatest * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, greatest: float) -> float:
    return round(HEIGHT - BOTTOM - value / greatest * (HEIGHT - TOP - BOTTOM), 1)


def _rule(value: float, greatest: float) -> str:
    y = _y(value, greatest)
    return f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#d0d7de"/>' + _text(
        LEFT - 8, y + 4, f"{value:,.10g}", anchor="end"
    )


def _polyline(points: Points, across: float, up: float, colour: str) -> str:
    places = " ".join(f"{_x(x, across)},{_y(y, up)}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    anchor: str = "start",
    colour: str = "#24292f",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
