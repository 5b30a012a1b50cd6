"""Who publishes what to whom, drawn in three columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ROW = 26
COLUMN = 250
GAP = 65
HEAD = 30
# Longer names are cut in the drawing, and whole in its tooltip and in the table below.
MAX_TEXT = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A name at a place; `kind` is publisher, type or subscriber."""

    name: str
    text: str
    kind: str
    x: int
    y: int
    width: int = COLUMN
    height: int = ROW - 6

    @property
    def text_x(self) -> int:
        return self.x + 8

    @property
    def text_y(self) -> int:
        return self.y + 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """From the right of one box to the left of another."""

    path: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    # Where the columns' heads begin.
    columns: tuple[int, ...] = tuple(8 + place * (COLUMN + GAP) for place in range(3))


def drawing(types: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Drawing:
    """Return the drawing of event types with their publishers and their subscribers."""
    publishers = _in_order(names for names, _ in types.values())
    subscribers = _in_order(names for _, names in types.values())
    tallest = max(len(publishers), len(types), len(subscribers), 1)
    columns = (("publisher", publishers), ("type", list(types)), ("subscriber", subscribers))
    boxes = {
        (kind, name): Box(
            name=name,
            text=_short(name),
            kind=kind,
            x=place * (COLUMN + GAP),
            # Spread over the height, so that lines stay short.
            y=HEAD + round((n + 0.5) * tallest / len(names) * ROW - ROW / 2),
        )
        for place, (kind, names) in enumerate(columns)
        for n, name in enumerate(names)
    }
    lines: list[Line] = []
    for name, (sources, targets) in types.items():
        lines += [_line(boxes["publisher", s], boxes["type", name]) for s in sources]
        lines += [_line(boxes["type", name], boxes["subscriber", t]) for t in targets]
    return Drawing(
        boxes=tuple(boxes.values()),
        lines=tuple(lines),
        width=3 * COLUMN + 2 * GAP,
        height=HEAD + tallest * ROW + 4,
    )


def _in_order(groups: Iterable[Sequence[str]]) -> list[str]:
    """Return the names of each type's group by the middle of their types: few lines cross so."""
    places: dict[str, list[int]] = {}
    for place, names in enumerate(groups):
        for name in names:
            places.setdefault(name, []).append(place)
    return sorted(places, key=lambda name: sum(places[name]) / len(places[name]))


def _line(start: Box, end: Box) -> Line:
    x1, y1 = start.x + start.width, start.y + start.height // 2
    x2, y2 = end.x, end.y + end.height // 2
    middle = (x1 + x2) // 2
    path = f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"
    return Line(path=path, title=f"{start.name} → {end.name}")


def _short(name: str) -> str:
    return name if len(name) <= MAX_TEXT else f"…{name[-MAX_TEXT + 1 :]}"
