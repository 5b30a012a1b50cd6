"""The pages of the docs, their sections, tables and snippets."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its blocks and comments."""
    text = re.sub(r"^ *```.*?^ *```$", "", read(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def headings(page: Path) -> list[str]:
    found = re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)
    return [heading.replace("\\", "") for heading in found]


def section(page: Path, title: str) -> str:
    """Return what stands between a heading of the second level and the next heading."""
    found = re.search(
        rf"^## {re.escape(title)}$(.*?)(?=^#{{1,2}} |\Z)", read(page), re.DOTALL | re.MULTILINE
    )
    assert found, f"{page.name} has no part {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables' rows, without their heads."""
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named(cell: str) -> str:
    """Return the first name in backticks."""
    found = re.search(r"`([^`]+)`", cell)
    assert found, f"{cell!r} names nothing"
    return found[1]
