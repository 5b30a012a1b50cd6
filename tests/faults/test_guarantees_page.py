"""The page on the guarantees names, for each thing that may break, the tests that show it."""

import re

import pytest

from tests.integration.processes import ROOT


@pytest.mark.once
def test_every_row_of_the_broken_world_has_its_tests() -> None:
    """And every test of a broken world has its row."""
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    named = re.findall(r"`(test_\w+)`", page.split("## If the world breaks")[1])
    assert len(set(named)) == len(named)
    tests = "".join(path.read_text() for path in (ROOT / "tests/faults").glob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in tests] == []
