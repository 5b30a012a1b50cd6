"""Every promise of the design is named by tests: docs/explanation/guarantees.md says by which."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# G5, order, is not promised yet.
PROMISES = [f"G{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12)]


@cache
def named_promises() -> dict[str, list[str]]:
    """Return the tests that name each promise in their docstring."""
    found = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = (ast.get_docstring(node) or "").replace(",", " ").replace(":", " ").split()
                for word in words:
                    found[word.rstrip(".;")].append(f"{path.name}::{node.name}")
    return found


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_has_a_test_that_names_it(promise: str) -> None:
    assert named_promises()[promise], f"No test's docstring names {promise}."
