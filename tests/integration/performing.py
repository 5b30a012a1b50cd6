"""The blocks of the quickstarts: what the comment before each says to do with it."""

import ast
import re
from typing import NamedTuple

from tests.integration.fresh_project import FreshProject
from tests.integration.processes import ROOT

BLOCK = re.compile(
    r"(?:<!-- (?P<what>[^\n]*?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL
)


class Step(NamedTuple):
    """A block of a page: what its comment says to do with it, its language, its text."""

    what: str
    kind: str
    text: str


def steps(text: str) -> list[Step]:
    """Return the blocks of a text in their order."""
    return [Step(m["what"] or "", m["kind"], m["text"]) for m in BLOCK.finditer(text)]


def readme_steps() -> list[Step]:
    """Return those of the README's quickstart."""
    page = (ROOT / "README.md").read_text()
    return steps(page.split("\n## Quickstart\n")[1].split("\n## ")[0])


def ends_with(project: FreshProject, command: str, line: str) -> bool:
    return project.run(command).splitlines()[-1:] == [line]


def change(source: str, snippet: str) -> str:
    """Return a module with the snippet's function in place of its own, and the imports on top."""
    new, old = _function(snippet), _function(source, _function(snippet).name)
    imports = snippet.splitlines()[: _first_line(new) - 1]
    lines = source.splitlines()
    lines[_first_line(old) - 1 : old.end_lineno] = snippet.splitlines()[_first_line(new) - 1 :]
    return "\n".join([*imports, *lines, ""])


def _function(source: str, name: str = "") -> ast.FunctionDef:
    """Return the function of this name, or the only one."""
    functions = [part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef)]
    [found] = [function for function in functions if name in ("", function.name)]
    return found


def _first_line(function: ast.FunctionDef) -> int:
    return min(decorator.lineno for decorator in function.decorator_list)
