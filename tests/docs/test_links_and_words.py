"""Links between pages lead somewhere, every page is reached, and words are the glossary's."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, headings, prose

# One word for each thing: these are not among them.
UNWANTED = re.compile(r"\b(handlers?|listeners?|messages?|tasks?)\b", re.IGNORECASE)


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    text = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
    return text.replace(" ", "-")


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if not target.startswith(("http://", "https://")):
                yield page, target


def test_internal_links_resolve() -> None:
    found = list(links())
    assert len(found) > 60
    broken = []
    for page, target in found:
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in map(slug, headings(goal))):
            broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, to_read = set(), [DOCS / "index.md"]
    while to_read:
        page = to_read.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [target.partition("#")[0] for source, target in links() if source == page]
        paths = [(page.parent / target).resolve() for target in targets if target.endswith(".md")]
        to_read += paths
    assert reached >= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_words_are_those_of_the_glossary(page: Path) -> None:
    assert UNWANTED.findall(re.sub(r"`[^`]*`", "", prose(page))) == []
