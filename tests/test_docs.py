"""The docs say what the code does: names, signatures, options, columns, snippets and links."""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction
from django.dispatch import Signal

import eda_django
from eda_django import (
    Event,
    Retry,
    checks,
    conf,
    exceptions,
    publish,
    signals,
    subscribes,
    testing,
)
from eda_django.failures import Failure
from eda_django.management.commands.relay import Command
from eda_django.models import Status
from eda_django.models.delivery import DeliveryQuerySet
from eda_django.models.operating import OperatorVerbs
from eda_django.models.outbox import OutboxQuerySet

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
# One word for each thing: these are not among them.
UNWANTED = re.compile(r"\b(handlers?|listeners?|messages?|tasks?)\b", re.IGNORECASE)


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
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


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


ALL_SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
PYTHON = [snippet for snippet in ALL_SNIPPETS if snippet.language == "python"]


# Settings, checks, commands


def test_settings_page_has_every_key_with_its_default() -> None:
    table = rows(read(DOCS / "reference/settings.md").split("## How they go together")[0])
    written = {
        named(key): eval(named(default), {"timedelta": timedelta})  # noqa: S307
        for key, _, default, _ in table
    }
    assert written == {key: option.default for key, option in conf.OPTIONS.items()}


def test_checks_page_has_every_check_and_no_other() -> None:
    in_code = set(re.findall(r'"([EW]\d{3})"', inspect.getsource(checks)))
    assert in_code
    assert set(headings(DOCS / "reference/checks.md")[1:]) == in_code


def test_hints_of_checks_lead_to_a_page_that_exists() -> None:
    assert (ROOT / checks.PAGE).is_file()


def test_commands_page_has_every_option_and_no_other() -> None:
    def options(command: BaseCommand) -> set[str]:
        parser = command.create_parser("manage.py", "relay")
        return {word for action in parser._actions for word in action.option_strings}

    own = options(Command()) - options(BaseCommand())
    assert own
    table = rows(section(DOCS / "reference/commands.md", "manage.py relay"))
    assert {named(cells[0]).split()[0] for cells in table if cells[0].startswith("`--")} == own


# Names and signatures


def signature(thing: Any) -> str:
    """Return a definition as its source has it: no docstring, no decorators, no body."""
    return _bare(ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0])


def _bare(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        node.body = [part for part in node.body if _is_shown(part)] or [ast.Expr(ast.Constant(...))]
        for part in node.body:
            _empty(part)
    _empty(node)
    return ast.unparse(node)


def _is_shown(part: ast.stmt) -> bool:
    is_init = isinstance(part, ast.FunctionDef) and part.name == "__init__"
    return is_init or isinstance(part, ast.AnnAssign)


def _empty(node: ast.stmt) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node.body = [ast.Expr(ast.Constant(...))]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        node.decorator_list = []


@pytest.mark.parametrize("name", sorted(eda_django.__all__))
def test_api_page_has_every_public_name(name: str) -> None:
    found = [re.split(r"[: ]", heading)[0] for heading in headings(DOCS / "reference/api.md")]
    assert found.count(name) == 1


def test_api_page_has_no_other_names() -> None:
    text = read(DOCS / "reference/api.md").replace("\\", "")
    titles = {re.split(r"[: ]", title)[0] for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert titles == {*eda_django.__all__, "capture", "drain"}


@pytest.mark.parametrize(
    "name",
    ["event", "publishes", "publish", "publish_many", "apublish", "subscribes", "Event", "Retry"]
    + ["Discard", "RetryLater", "capture", "drain"],
)
def test_api_page_has_the_real_signature(name: str) -> None:
    title = "Event: the envelope" if name == "Event" else name
    text = section(DOCS / "reference/api.md", title)
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found, f"{name} has no signature"
    thing = getattr(eda_django, name, None) or getattr(testing, name)
    assert _bare(ast.parse(found[1]).body[0]) == signature(thing)


def test_errors_page_has_every_exception_and_no_other() -> None:
    in_code = {
        name
        for name, thing in vars(exceptions).items()
        if isinstance(thing, type) and issubclass(thing, exceptions.EdaError)
    }
    text = read(DOCS / "reference/errors.md")
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == in_code


def test_signals_page_has_every_signal_and_no_other() -> None:
    in_code = {name for name, thing in vars(signals).items() if isinstance(thing, Signal)}
    fields = {field.name for field in dataclasses.fields(Failure)}
    cells = {named(cells[0]) for cells in rows(read(DOCS / "reference/signals.md"))}
    assert cells == in_code | fields


# The README


def test_readme_has_the_supported_versions() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    table = dict(rows(section(ROOT / "README.md", "Supported versions")))
    classifiers = setup["metadata"]["classifiers"]
    for name in ("Python", "Django"):
        assert re.findall(rf":: {name} :: (\d\.\d+)$", classifiers, re.MULTILINE) == (
            table[name].split(", ")
        )
    needed = dict(
        re.findall(r"^([\w-]+)>=([\d.]+)$", setup["options"]["install_requires"], re.MULTILINE)
    )
    oldest = {name: table[name].split()[0] for name in ("django-rq", "rq", "pydantic")}
    oldest |= {"django": table["Django"].split(",")[0], "redis": table["redis-py"].split()[0]}
    assert needed == oldest


def test_readme_names_make_targets_and_variables_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = read(ROOT / "README.md")
    targets = set(re.findall(r"`make (\w+)", text))
    assert targets == {"demo", "test", "bench"}
    assert targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert all(name in makefile for name in re.findall(r"`make demo (\w+)=", text))


# Tables


# A proxy has no table of its own.
MODELS = [m for m in apps.get_app_config("eda_django").get_models() if not m._meta.proxy]


@pytest.mark.parametrize("model", MODELS)
def test_tables_page_has_every_column_and_no_other(model: Any) -> None:
    text = section(DOCS / "reference/tables.md", model.__name__)
    assert f"`{model._meta.db_table}`" in text
    in_code = [field.column for field in model._meta.concrete_fields]
    assert sorted(named(cells[0]) for cells in rows(text)) == sorted(in_code)


def test_tables_page_has_every_model() -> None:
    models = {model.__name__ for model in MODELS}
    assert set(headings(DOCS / "reference/tables.md")[1:]) == models


def test_life_of_a_delivery_has_every_status() -> None:
    text = read(DOCS / "explanation/life-of-a-delivery.md").split("## Every transition")[0]
    assert {named(cells[0]) for cells in rows(text)} == set(Status.values)


def test_life_of_a_delivery_names_verbs_that_exist() -> None:
    text = read(DOCS / "explanation/life-of-a-delivery.md")
    verbs = {named(cells[0]) for cells in rows(section_of_transitions(text))}
    assert verbs
    known = {*vars(DeliveryQuerySet), *vars(OperatorVerbs), *vars(OutboxQuerySet)}
    assert verbs <= known


def section_of_transitions(text: str) -> str:
    return text.split("## Every transition")[1].split("\n## ")[0]


def test_errors_page_has_every_error_class_of_the_tables() -> None:
    sources = "".join(read(path) for path in (ROOT / "eda_django").rglob("*.py"))
    models = {f"eda_django.{model.__name__}" for model in apps.get_models()}
    in_code = set(re.findall(r'"(eda_django\.[A-Z][a-z]\w+)"', sources)) - models
    text = read(DOCS / "reference/errors.md").split("# Error classes in the tables")[1]
    assert {named(cells[0]) for cells in rows(text)} == in_code


def test_architecture_page_has_every_module_and_no_other() -> None:
    package = ROOT / "eda_django"
    in_code = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.stat().st_size and "migrations" not in path.parts
    }
    # A package of several modules is spoken of by its modules.
    in_code -= {f"{name}/__init__.py" for name in ("models", "admin", "payloads", "dispatch")}
    text = section(DOCS / "explanation/architecture.md", "Every module")
    assert {named(cells[0]) for cells in rows(text)} == in_code


def test_architecture_page_draws_the_floors_of_the_contract() -> None:
    contract = ConfigParser()
    contract.read(ROOT / "setup.cfg")
    floors = contract["importlinter:contract:floors"]["layers"].split("\n")[1:]
    text = section(DOCS / "explanation/architecture.md", "The floors")
    drawn = text.split("```")[1].strip().splitlines()
    # A remark may stand beside a floor.
    assert [re.split(" {2,}", line)[0] for line in drawn] == floors


# Snippets


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


# Links and words


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
