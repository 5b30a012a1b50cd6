"""The snippets of the docs compile, import what there is, and run."""

import ast
import re
import textwrap
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from eda_django import Event, Retry, publish, subscribes, testing
from eda_django.models import Delivery
from tests.delivery.claiming import queued
from tests.docs.pages import PAGES, ROOT, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A fenced block: where it begins, its language, its text and the comment before it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def snippets(page: Path) -> list[Snippet]:
    """Return the fenced blocks of a page, indented ones too."""
    block = r"(?:<!-- (?P<mark>[^>]*) -->\n)?^ *```(?P<lang>\w*)\n(?P<text>.*?)^ *```$"
    return [
        Snippet(
            page=page,
            line=read(page).count("\n", 0, found.start()) + 1,
            language=found["lang"],
            text=textwrap.dedent(found["text"]),
            mark=found["mark"] or "",
        )
        for found in re.finditer(block, read(page), re.DOTALL | re.MULTILINE)
    ]


ALL_SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
PYTHON = [snippet for snippet in ALL_SNIPPETS if snippet.language == "python"]


def test_snippets_are_found() -> None:
    """A change of format must not leave the tests below with nothing to do."""
    assert len(PYTHON) > 30
    assert sum(snippet.mark == "runnable" for snippet in PYTHON) > 5


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python_snippet_compiles(snippet: Snippet) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(snippet.text, str(snippet), "exec", flags=flags, dont_inherit=True)


@pytest.mark.django_db
@pytest.mark.parametrize("snippet", [s for s in PYTHON if s.mark == "runnable"], ids=str)
def test_runnable_snippet_runs(snippet: Snippet) -> None:
    namespace: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet.text, str(snippet), "exec", dont_inherit=True), namespace)  # noqa: S102


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python_snippet_imports_what_exists(snippet: Snippet) -> None:
    for node in ast.walk(ast.parse(snippet.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eda_django"):
            module = __import__(str(node.module), fromlist=["x"])
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing, f"{node.module} has no {missing}"


@pytest.mark.django_db
def test_recipe_for_dead_letters_gives_them_new_attempts() -> None:
    """The page names a subscriber; let one of this name fail, and be mended."""
    [recipe] = [s for s in PYTHON if s.page.name == "operate.md" and ".retry()" in s.text]
    broken = True

    @subscribes("docs.mail_wanted", name="mail.subscribers.confirm", retry=Retry(max_attempts=1))
    def confirm(event: Event[dict[str, Any]]) -> None:
        if broken:
            raise RuntimeError("the mail server is down")

    with transaction.atomic():
        publish("docs.mail_wanted", {"to": "ada@example.com"})
    assert [row.status for row in testing.drain()] == ["dead"]
    broken = False
    exec(compile(recipe.text, str(recipe), "exec", dont_inherit=True), {})  # noqa: S102
    assert [(row.status, row.attempts) for row in testing.drain()] == [("succeeded", 1)]


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "stuck"), [(6, True), (4, False)])
def test_monitoring_tells_of_workers_that_take_nothing(minutes: int, stuck: bool) -> None:
    """The relay goes on without them, so that none of the other signs would tell."""
    [recipe] = [s for s in PYTHON if s.page.name == "operate.md" and "stuck = " in s.text]
    queued()
    ago = timezone.now() - timedelta(minutes=minutes)
    assert Delivery.objects.filter(status="queued").update(lease_until=ago) == 1
    found: dict[str, Any] = {}
    text = recipe.text.partition("\nassert ")[0]
    exec(compile(text, str(recipe), "exec", dont_inherit=True), found)  # noqa: S102
    assert found["stuck"] is stuck
