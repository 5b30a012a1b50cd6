"""The reference says what the code does: settings, checks, options, names, signatures, columns."""

import ast
import dataclasses
import inspect
import re
import textwrap
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management.base import BaseCommand
from django.dispatch import Signal

import eda_django
from eda_django import (
    check_messages,
    checks,
    conf,
    database_checks,
    exceptions,
    signals,
    subscription_checks,
    testing,
)
from eda_django.failures import Failure
from eda_django.management.commands.relay import Command
from tests.docs.pages import DOCS, ROOT, headings, named, read, rows, section

# Settings, checks, commands


def test_settings_page_has_every_key_with_its_default() -> None:
    table = rows(read(DOCS / "reference/settings.md").split("## How they go together")[0])
    written = {
        named(key): eval(named(default), {"timedelta": timedelta})  # noqa: S307
        for key, _, default, _ in table
    }
    assert written == {key: option.default for key, option in conf.OPTIONS.items()}


def test_checks_page_has_every_check_and_no_other() -> None:
    modules = (checks, subscription_checks, database_checks)
    in_code = set(re.findall(r'"([EW]\d{3})"', "".join(map(inspect.getsource, modules))))
    assert in_code
    assert set(headings(DOCS / "reference/checks.md")[1:]) == in_code


def test_hints_of_checks_lead_to_a_page_that_exists() -> None:
    """Each number has its heading on it: see above."""
    assert headings(DOCS / "reference/checks.md")[0] == check_messages.PAGE


def test_commands_page_has_every_option_and_no_other() -> None:
    def options(command: BaseCommand) -> set[str]:
        parser = command.create_parser("manage.py", "relay")
        return {word for action in parser._actions for word in action.option_strings}

    own = options(Command()) - options(BaseCommand())
    assert own
    table = rows(section(DOCS / "reference/commands.md", "manage.py relay"))
    assert {named(cells[0]).split()[0] for cells in table if cells[0].startswith("`--")} == own


def test_errors_page_has_every_error_class_of_the_tables() -> None:
    sources = "".join(read(path) for path in (ROOT / "eda_django").rglob("*.py"))
    models = {f"eda_django.{model.__name__}" for model in apps.get_models()}
    in_code = set(re.findall(r'"(eda_django\.[A-Z][a-z]\w+)"', sources)) - models
    text = read(DOCS / "reference/errors.md").split("# Error classes in the tables")[1]
    assert {named(cells[0]) for cells in rows(text)} == in_code


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
