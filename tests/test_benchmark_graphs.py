"""The benchmark's graphs: SVG that any browser reads, whose lines are what was measured."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.graphs import smoothed
from benchmarks.svg import Graph, Line, ticks
from tests.databases import URLS, vendor

pytestmark = pytest.mark.benchmark

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines: Line) -> ElementTree.Element:
    graph = Graph(title="A & B", across="events", up="ratio", lines=lines)
    return ElementTree.fromstring(graph.svg())  # noqa: S314


def texts(svg: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {element.text or "": element for element in svg.iter(f"{SVG}text")}


@pytest.mark.once
@pytest.mark.parametrize(
    ("greatest", "marks"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1.4, [0, 0.5, 1.0, 1.5]),
        (1_000_000, [0, 200_000, 400_000, 600_000, 800_000, 1_000_000]),
        (7, [0, 2, 4, 6, 8]),
    ],
)
def test_an_axis_has_round_marks_up_to_the_greatest(greatest: float, marks: list[float]) -> None:
    assert ticks(greatest) == marks


@pytest.mark.once
def test_a_graph_has_a_line_for_each_series_from_corner_to_corner() -> None:
    svg = drawn(Line(name="library", points=[(0, 0), (50, 0.5), (100, 1)]))
    (line,) = svg.iter(f"{SVG}polyline")
    assert line.get("points") == "64.0,308.0 317.0,178.0 570.0,48.0"
    assert {"A & B", "events", "ratio", "library", "100", "0.2"} <= set(texts(svg))


@pytest.mark.once
def test_names_of_lines_that_end_together_stand_below_one_another() -> None:
    svg = drawn(Line(name="a", points=[(1, 1)]), Line(name="b", points=[(1, 1)]))
    found = texts(svg)
    heights = [float(found[name].get("y", "")) for name in "ab"]
    assert heights[1] - heights[0] == 16


@pytest.mark.once
def test_claims_are_smoothed_to_the_medians_of_stretches_of_all_rounds() -> None:
    rounds = [[2.0, 4.0, 6.0, 8.0], [3.0, 90.0, 7.0]]
    assert smoothed(rounds, 600, places=2) == [(300.0, 3.5), (600.0, 7.0)]
    assert smoothed([[1.0]], 600) == [(600.0, 1.0)]


@pytest.mark.processes
@pytest.mark.skipif(vendor() != "postgresql", reason="the graphs are measured on PostgreSQL")
def test_the_command_draws_every_graph(tmp_path: Path) -> None:
    variable, default = URLS["postgresql"]
    words = [f"--output={tmp_path}", "--rounds=1", "--share=0.0005", "--rates", "200"]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.graphs", *words],
        cwd=ROOT,
        env={**os.environ, "BENCH_POSTGRESQL_URL": os.environ.get(variable, default)},
        check=True,
    )
    for name, lines in (("history", 1), ("held-transaction", 2), ("sustained", 1)):
        svg = ElementTree.parse(tmp_path / f"{name}.svg").getroot()  # noqa: S314
        assert len(list(svg.iter(f"{SVG}polyline"))) == lines
