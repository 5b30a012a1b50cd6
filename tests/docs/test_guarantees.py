"""The page on the guarantees names, beside each promise and each death, the tests that show it.

So does the page on the life of a delivery, beside each guard.
"""

import re
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, read, rows, section

PAGE = DOCS / "explanation/guarantees.md"
PROMISES = dict(
    re.findall(
        r"^### (G\d+): (.*?)(?=^###|\Z)",
        section(PAGE, "What is promised"),
        re.DOTALL | re.MULTILINE,
    )
)
TABLES = (
    (PAGE, "If X dies between Y and Z, then …"),
    (PAGE, "If the world breaks, then …"),
    (DOCS / "explanation/life-of-a-delivery.md", "What the guards are for"),
)
DESIGNED = [f"G{number}" for number in range(1, 13)]


def named_in(text: str) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", text)


def find(named: str) -> Any:
    """Return the function that pytest collects under this name; fail if it collects none."""
    path, *names = named.split("::")
    assert re.search(r"/test_\w+\.py$", path), f"pytest takes {path} for no file of tests."
    found: Any = import_module(path.removesuffix(".py").replace("/", "."))
    for name in names:
        found = getattr(found, name, None)
        assert found is not None, f"There is no {named}."
    assert names[-1].startswith("test_")
    assert callable(found)
    return found


def test_every_promise_is_on_the_page_with_a_test_or_said_not_to_be_one() -> None:
    without = [number for number in DESIGNED if number not in PROMISES]
    # Order.
    assert without == ["G5"]
    assert "G5" in section(PAGE, "What is not promised")
    assert [number for number, text in PROMISES.items() if not named_in(text)] == []


@pytest.mark.parametrize("number", PROMISES)
def test_tests_beside_a_promise_exist_and_name_it(number: str) -> None:
    """And each is there once."""
    named = named_in(PROMISES[number])
    assert len(set(named)) == len(named)
    docs = {name: getdoc(find(name)) or "" for name in named}
    assert [name for name, text in docs.items() if not re.search(rf"\b{number}\b", text)] == []


@pytest.mark.parametrize(("page", "title"), TABLES, ids=[title for _, title in TABLES])
def test_every_row_of_what_may_happen_names_tests_that_exist(page: Path, title: str) -> None:
    text = section(page, title)
    table = rows(text)
    assert table
    assert [cells[:-1] for cells in table if not named_in(cells[-1])] == []
    for name in named_in(text):
        find(name)


def test_no_name_of_a_test_stands_there_without_its_file() -> None:
    assert re.findall(r"`test_\w+`", read(PAGE)) == []
